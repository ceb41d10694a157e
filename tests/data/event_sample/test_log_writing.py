"""The folder that a sample log is: the same every time, whole or absent, and written in little memory."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from churn_mlops.data.event_sample import writing
from churn_mlops.data.event_sample.writing import SampleSize, Written, write_sample
from churn_mlops.errors import SampleRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from event_sample.conftest import Log

TIME = pa.timestamp("us", "UTC")
FEW = SampleSize(180, 20)


def hash_files(folder: Path) -> dict[str, str]:
    """Hash every file of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_arguments_give_the_same_bytes(log: Log, tmp_path: Path) -> None:
    """And another seed gives other ones, in every file."""
    size = SampleSize(730, 1500)
    write_sample(tmp_path / "again", size, seed=0)
    write_sample(tmp_path / "other", size, seed=1)
    first, again, other = map(hash_files, (log.folder, tmp_path / "again", tmp_path / "other"))
    assert again == first
    assert {*first} == {*other} == {"events/part-00000.parquet", "customers.parquet", "cancellations.parquet"}
    assert not {*first.values()} & {*other.values()}


@pytest.mark.parametrize("name", ["events", "customers", "cancellations"])
def test_customers_are_the_same_however_many_there_are(name: str, log: Log, tmp_path: Path) -> None:
    """The first 1,100 of 1,500 have the rows that they have in a log of their own."""
    folder = tmp_path / "log"
    fewer = type(log)(folder, write_sample(folder, SampleSize(730, 1100), seed=0)).read(name)
    all_rows = log.read(name)
    expected = all_rows[all_rows["customer_id"] < "C00001100"]
    pd.testing.assert_frame_equal(fewer, expected.reset_index(drop=True))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "events",
            {
                "event_id": pa.int64(),
                "customer_id": pa.string(),
                "time": TIME,
                "type": pa.string(),
                "amount": pa.float64(),
                "known_time": TIME,
            },
        ),
        (
            "customers.parquet",
            {
                "customer_id": pa.string(),
                "known_time": TIME,
                "joined": TIME,
                "plan": pa.string(),
                "billing": pa.string(),
                "price": pa.float64(),
                "country": pa.string(),
                "channel": pa.string(),
            },
        ),
        ("cancellations.parquet", {"customer_id": pa.string(), "time": TIME, "known_time": TIME}),
    ],
)
def test_columns_have_these_names_and_types(name: str, columns: dict[str, pa.DataType], log: Log) -> None:
    """What a configuration names, in plain types that every engine reads."""
    assert pa_parquet.read_table(log.folder / name).schema.equals(pa.schema(columns))


def test_what_was_written_is_counted(log: Log) -> None:
    """Customers and rows, as the command tells them."""
    counts = [len(log.read(name)) for name in ("events", "customers", "cancellations")]
    assert log.written == Written(1500, *counts)


def test_events_are_asked_for_with_whole_customers(log: Log, tmp_path: Path) -> None:
    """Customers are added until there are so many events, and none after that."""
    written = write_sample(tmp_path / "log", SampleSize(730, 500_000, "events"), seed=0)
    events = log.read("events")
    of_each = events[events["customer_id"] < f"C{written.customers:08d}"].groupby("customer_id").size()
    assert written.events == of_each.sum()
    assert written.events >= 500_000 > written.events - of_each.iloc[-1]


def test_large_logs_have_several_files(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of about so many rows; together they are the log."""
    monkeypatch.setattr(writing, "_FILE_ROWS", 300_000)
    folder = tmp_path / "log"
    write_sample(folder, SampleSize(730, 1500), seed=0)
    files = sorted((folder / "events").iterdir())
    assert [file.name for file in files] == ["part-00000.parquet", "part-00001.parquet"]
    pd.testing.assert_frame_equal(pd.concat(map(pd.read_parquet, files), ignore_index=True), log.read("events"))


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """Nothing else is left beside it."""
    write_sample(tmp_path / "log", FEW, seed=0)
    (tmp_path / "empty").mkdir()
    write_sample(tmp_path / "empty", FEW, seed=0)
    assert hash_files(tmp_path / "empty") == hash_files(tmp_path / "log")
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "log"}


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """A folder that holds anything and a file are refused, and stay."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    for path, problem in ((tmp_path, "is not empty"), (mine, "is a file")):
        with pytest.raises(SampleRefused, match=problem):
            write_sample(path, FEW, seed=0)
    assert [*tmp_path.iterdir()] == [mine]


def test_a_log_that_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    """Neither in its place nor beside it."""

    def fail(written: Written) -> None:
        raise OSError(f"no space after {written.events} events")

    with pytest.raises(OSError, match="no space after"):
        write_sample(tmp_path / "log", FEW, seed=0, observe=fail)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: SampleSize(179, 1), "--days is 179: it should be 180 to 3650"),
        (lambda: SampleSize(3651, 1), "--days is 3651"),
        (lambda: SampleSize(730, 0), "--customers is 0: it should be 1 or more"),
        (lambda: SampleSize(730, -5, "events"), "--events is -5: it should be 1 or more"),
    ],
)
def test_sizes_that_make_no_log_are_refused(make: Callable[[], SampleSize], problem: str) -> None:
    """With the value, and what it should be."""
    with pytest.raises(SampleRefused, match=problem):
        make()


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(SampleRefused, match="--seed is -1"):
        write_sample(tmp_path / "log", FEW, seed=-1)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("days", [180, 181, 1000])
def test_any_number_of_days_ends_with_2024(days: int, tmp_path: Path) -> None:
    """The log begins so many days before 2025 and has events in its first and its last day."""
    write_sample(tmp_path / "log", SampleSize(days, 300), seed=3)
    times = pd.read_parquet(tmp_path / "log" / "events")["time"]
    start, end = pd.Timestamp("2025-01-01", tz="UTC") - pd.Timedelta(days=days), pd.Timestamp("2025-01-01", tz="UTC")
    assert start <= times.min() < start + pd.Timedelta(days=1)
    assert end - pd.Timedelta(days=1) < times.max() < end


MEASURE = """
import re, sys
from pathlib import Path
from churn_mlops.data.event_sample.writing import SampleSize, write_sample
write_sample(Path(sys.argv[1]), SampleSize(730, int(sys.argv[2])), seed=0)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux, which tells a process's own peak memory"
)
def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """A log four times as large takes about the memory of the smaller one."""
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(tmp_path / str(customers)), str(customers)],
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            ).stdout
        )
        for customers in (3072, 12288)
    )
    assert many < 1.25 * few
    assert many < 600_000
