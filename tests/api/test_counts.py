"""The numbers of several workers: nothing is lost when one is killed, and its successor carries on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from churn_mlops.api.counts import FOLDER_VARIABLE, Counts, shared_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

COUNT_AND_HANG = """
import sys, time
from pathlib import Path
from churn_mlops.api.counts import Counts
counts = Counts(Path(sys.argv[1]))
counts.values[counts.place(("requests", "/predict"))] += 5
counts.values[counts.place(("latency",), 3) + 2] += 7
print("counted", flush=True)
time.sleep(600)
"""


@contextmanager
def working(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker that counts five requests and lives on; it is killed at the end."""
    command = [sys.executable, "-c", COUNT_AND_HANG, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"counted\n"
        yield process
        process.kill()


def read(counts: Counts) -> list[tuple[int, bool, list[float]]]:
    """Read what all workers have: place, whether it lives, and its requests and latencies."""
    return [
        (one.worker, one.is_alive, [one.values[place] for place in (one.places[("requests", "/predict")],)])
        for one in counts.of_all_workers()
        if ("requests", "/predict") in one.places
    ]


def test_without_a_folder_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single worker counts in its memory, and reads that."""
    monkeypatch.chdir(tmp_path)
    counts = Counts()
    counts.values[counts.place(("requests", "/predict"))] += 2
    assert read(counts) == [(0, True, [2])]
    assert counts.of_all_workers()[0].pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_places_do_not_overlap() -> None:
    """A key has as many numbers of its own as it asked for, and always the same ones."""
    counts = Counts()
    places = [counts.place(("a",), 3), counts.place(("b",)), counts.place(("c",)), counts.place(("a",), 3)]
    assert places == [places[0], places[0] + 3, places[0] + 4, places[0]]
    assert counts.values[0] == os.getpid()
    assert places[0] > 0


def test_workers_read_each_other(tmp_path: Path) -> None:
    """What another process counts is there at once, under its process id."""
    with working(tmp_path) as other:
        counts = Counts(tmp_path)
        counts.values[counts.place(("requests", "/predict"))] += 1
        assert read(counts) == [(0, True, [5]), (1, True, [1])]
        assert [one.pid for one in counts.of_all_workers()] == [other.pid, os.getpid()]


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """What it counted stays, though nothing was written out, and everybody sees that it is dead."""
    with working(tmp_path):
        counts = Counts(tmp_path)
    counts.values[counts.place(("requests", "/predict"))] += 1
    assert read(counts) == [(0, False, [5]), (1, True, [1])]


def test_a_successor_carries_on(tmp_path: Path) -> None:
    """A worker takes over the place and the numbers of a dead one: there are never more files than workers."""
    for _ in range(3):
        with working(tmp_path):
            pass
    counts = Counts(tmp_path)
    assert read(counts) == [(0, True, [15])]
    assert counts.values[counts.place(("latency",), 3) + 2] == 21
    assert [path.name for path in tmp_path.iterdir()] == ["0.counts"]


def test_a_key_cut_short_is_forgotten(tmp_path: Path) -> None:
    """A worker killed while it wrote a key leaves half a line: readers skip it, the successor writes over it."""
    with working(tmp_path):
        pass
    with (tmp_path / "0.counts").open("ab") as file:
        file.write(b'[1, "half')
    reader = Counts(tmp_path / "elsewhere")
    reader.folder = tmp_path
    assert read(reader) == [(0, False, [5])]
    counts = Counts(tmp_path)
    counts.values[counts.place(("whole",))] += 1
    (seen,) = counts.of_all_workers()
    assert sorted(seen.places) == [("latency",), ("requests", "/predict"), ("whole",)]
    assert seen.values[seen.places[("whole",)]] == 1


def test_the_shared_folder_is_announced_and_cleared_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started meanwhile find it in their environment; afterwards nothing is left."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with shared_folder() as folder:
        assert os.environ[FOLDER_VARIABLE] == str(folder)
        Counts(folder)
    assert FOLDER_VARIABLE not in os.environ
    assert not folder.exists()


def test_a_folder_that_is_given_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is made, and kept; what a former service counted there is not counted again."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "given"))
    with shared_folder() as folder, working(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["0.counts"]
    (folder / "someone-elses.db").touch()
    with shared_folder():
        assert [path.name for path in folder.iterdir()] == ["someone-elses.db"]


def test_what_a_killed_service_left_is_cleared_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its folder goes when the next service starts; that of one that runs stays, however old, and so does a new one."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr("churn_mlops.api.counts._MEMORY", str(tmp_path))
    for name in ("churn-mlops-killed", "churn-mlops-new", "someone-elses"):
        (tmp_path / name).mkdir()
    with shared_folder() as running:
        del os.environ[FOLDER_VARIABLE]
        for path in tmp_path.iterdir():
            if path.name != "churn-mlops-new":
                os.utime(path, (0, 0))
        with shared_folder() as folder:
            left = {path.name for path in tmp_path.iterdir()}
        os.environ[FOLDER_VARIABLE] = str(running)
    assert left == {"churn-mlops-new", "someone-elses", running.name, folder.name}
