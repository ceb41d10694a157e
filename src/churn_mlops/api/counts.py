"""Plain numbers in memory that a request can change for next to nothing, and that other workers can read."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which several workers share what they count; without it, a worker counts for itself."""

_SIZE: Final = 1 << 22
"""Bytes of a worker's numbers, eight each. Memory is used for those that are; a file's keys come after them."""

_MEMORY: Final = "/dev/shm"  # noqa: S108 - the folder in it has a name of its own
_PREFIX: Final = "churn-mlops-"
_SOON_SECONDS: Final = 60

Key = tuple[str, ...]
"""What a number counts: the name of the metric and the values of its labels."""


@dataclass(frozen=True)
class WorkerCounts:
    """What one worker has counted.

    Attributes:
        worker: its place among the workers, from 0; a worker that replaces a dead one takes over its place.
        pid: its process; what was counted outlives it.
        is_alive: whether it still runs.
        places: where each key's numbers begin in `values`.
        values: float64.
    """

    worker: int
    pid: int
    is_alive: bool
    places: Mapping[Key, int]
    values: Sequence[float]


class Counts:
    """The numbers of this worker.

    In a folder, they are a file that is mapped into memory, so that nothing is lost when the worker is killed. The
    worker holds a lock on it, which ends with its process: that is how others know that it is alive, and how its
    successor finds the file to carry on with, so that there are never more files than there were workers at a time.

    Args:
        folder: shared with the other workers; None for memory of this process only.

    Attributes:
        values: float64; the place of a key's first number is what `place` says.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._lock = Lock()
        self._file, self._places, self._used = _take_over(folder) if folder else (-1, {}, 1)
        # a list is three times as fast, where nobody else reads it
        self.values = memoryview(mmap.mmap(self._file, _SIZE)).cast("d") if folder else [0.0]
        self.values[0] = os.getpid()

    def place(self, key: Key, width: int = 1) -> int:
        """Give the place of a key's numbers, making room for them the first time."""
        with self._lock:
            if key not in self._places:
                if self._file >= 0:
                    os.write(self._file, json.dumps([width, *key]).encode() + b"\n")
                if isinstance(self.values, list):
                    self.values.extend([0.0] * width)
                self._places[key] = self._used
                self._used += width
            return self._places[key]

    def places(self) -> Mapping[Key, int]:
        """Give the places of all keys so far."""
        return dict(self._places)

    def of_all_workers(self) -> list[WorkerCounts]:
        """Read what each worker has counted, the dead ones too; without a folder there is this one only."""
        if self.folder is None:
            return [WorkerCounts(0, os.getpid(), True, self.places(), self.values)]
        return [_read(path) for path in sorted(self.folder.glob("*.counts"))]


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make the folder for the workers that are started meanwhile, and clear it away afterwards.

    If the environment names one, it is used and left, but what a former service counted there is removed.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.counts"):
            if not _is_locked(path):
                path.unlink()
        yield folder
        return
    # in memory where there is such a place, even if the file system may not be written to
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else gettempdir()
    _clear_away_abandoned(Path(memory))
    with TemporaryDirectory(prefix=_PREFIX, dir=memory) as made, _locking(Path(made)):
        os.environ[FOLDER_VARIABLE] = made
        try:
            yield Path(made)
        finally:
            del os.environ[FOLDER_VARIABLE]


def _clear_away_abandoned(folder: Path) -> None:
    """Remove the folders of services that were killed; a service locks its own soon after making it."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or gone by now
            if time.time() - path.stat().st_mtime > _SOON_SECONDS and not _is_locked(path):
                shutil.rmtree(path)


@contextmanager
def _locking(folder: Path) -> Iterator[None]:
    import fcntl  # where there is none, there are no several workers either

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take_over(folder: Path) -> tuple[int, dict[Key, int], int]:
    """Open the first file that no living worker has; give it with its keys' places and the next place."""
    import fcntl  # where there is none, there is no folder to share either

    folder.mkdir(parents=True, exist_ok=True)
    for worker in count():
        file = os.open(folder / f"{worker}.counts", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        break
    keys = _read_keys(os.pread(file, os.fstat(file).st_size, _SIZE))
    # a key that was being written when the worker was killed is cut off
    os.ftruncate(file, _SIZE + sum(len(line) + 1 for line in keys))
    return file, *_find_places(keys)


def _read(path: Path) -> WorkerCounts:
    with path.open("rb") as file:
        file.seek(_SIZE)
        places, used = _find_places(_read_keys(file.read()))
        file.seek(0)
        values = memoryview(file.read(8 * used).ljust(8 * used, b"\0")).cast("d")
    return WorkerCounts(int(path.stem), int(values[0]), _is_locked(path), places, values)


def _read_keys(text: bytes) -> list[bytes]:
    return text[: text.rfind(b"\n") + 1].splitlines()


def _find_places(keys: list[bytes]) -> tuple[dict[Key, int], int]:
    """Give where each key's numbers begin, after the process id, and where the next ones would."""
    parsed = json.loads(b"[" + b",".join(keys) + b"]")
    starts = list(accumulate((width for width, *_ in parsed), initial=1))
    return {tuple(key): start for (_, *key), start in zip(parsed, starts, strict=False)}, starts[-1]


def _is_locked(path: Path) -> bool:
    import fcntl  # where there is none, there is no folder to share either

    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
