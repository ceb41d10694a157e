"""What a run has written so far, beside its output: kept when it is killed, and renamed when it is complete."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from filelock import FileLock, Timeout

from churn_mlops.atomic_files import replace_file, sync_folder
from churn_mlops.errors import OutputInUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from churn_mlops.data.rejects import Reject
    from churn_mlops.inference.batch_score.formats import Format, Part
    from churn_mlops.inference.batch_score.source import Position

_STATE: Final = "state.json"
_LENGTH_BYTES: Final = 8


@dataclass
class _State:
    """How far the run is: what lies beyond in its files was not finished."""

    position: Position | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    best: str | None = None


@contextmanager
def open_unfinished(output: Path, fingerprint: str, name: str | None = None) -> Iterator[Unfinished]:
    """Open what an earlier run of the same fingerprint left behind, or nothing; what others left is removed.

    Args:
        output: that is written.
        fingerprint: of all that its bytes depend on.
        name: of the output for people; its path without one.

    Raises:
        OutputInUse: another process writes the same output.
    """
    folder = output.with_name(f".{output.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputInUse(name or output) from None
    try:
        for other in folder.iterdir():
            if other.is_dir() and other.name != fingerprint:
                shutil.rmtree(other)
        (folder / fingerprint).mkdir(exist_ok=True)
        with closing(Unfinished(folder / fingerprint)) as unfinished:
            yield unfinished
    finally:
        if not any(entry.is_dir() for entry in folder.iterdir()):
            shutil.rmtree(folder)
        lock.release()


class Unfinished:
    """The files of a run that is not finished yet.

    Args:
        folder: that holds them.

    Attributes:
        counts: of the customers so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = _read_state(folder / _STATE)
        self.counts = Counter(self._state.counts)
        self._data, self._footers, self._rejects = (_GrowingFile(folder / name, self._state) for name in _FILES)
        if not self._rejects.size:
            self._rejects.write(_write_rows([("file", "row", "reason", "text")]))

    @property
    def position(self) -> Position | None:
        """Where to go on; None for the start."""
        return self._state.position

    def add(self, format_: Format, part: Part) -> None:
        """Add answers to the output."""
        if not self._data.size:
            self._data.write(part.beginning)
        footer = format_.shift(part.footer, self._data.size)
        self._footers.write(len(footer).to_bytes(_LENGTH_BYTES, "little") + footer)
        self._data.write(part.content)

    def reject(self, file: str, rejects: Sequence[Reject]) -> None:
        """Add rows to those that could not be scored."""
        if rejects:
            self._rejects.write(_write_rows((file, reject.row, reject.reason, reject.text) for reject in rejects))

    def read_best(self) -> pa.Table | None:
        """Read the table that was given to `save`; None if none was."""
        if self._state.best is None:
            return None
        with pa.OSFile(str(self._folder / self._state.best)) as file:
            return pa.ipc.open_file(file).read_all()

    def save(self, position: Position, best: pa.Table | None = None) -> None:
        """Make sure that a run that is killed from here on begins again at this position.

        Args:
            position: in the source.
            best: a table to keep with it.
        """
        old = self._state.best
        files = (self._data, self._footers, self._rejects)
        for file in files:
            file.sync()
        name = None if best is None else f"best-{position[0]}-{position[1]}.arrow"
        if best is not None and name is not None:
            replace_file(self._folder / name, _write_table(best))
        self._state = _State(position, {file.name: file.size for file in files}, dict(self.counts), name)
        replace_file(self._folder / _STATE, json.dumps(asdict(self._state)).encode())
        if old is not None and old != name:
            (self._folder / old).unlink()

    def finish(self, format_: Format, output: Path, rejects: Path) -> None:
        """Complete the files and rename them into their places: first the rejects, then the output."""
        self._data.write(format_.end(self._read_footers()))
        for file, place in ((self._rejects, rejects), (self._data, output)):
            file.sync()
            file.rename(place)
        for folder in {output.parent, rejects.parent}:
            sync_folder(folder)
        shutil.rmtree(self._folder)

    def give_up(self, rejects: Path) -> None:
        """Keep the rows that could not be scored, and nothing else."""
        self._rejects.sync()
        self._rejects.rename(rejects)
        sync_folder(rejects.parent)
        shutil.rmtree(self._folder)

    def close(self) -> None:
        """Close the files."""
        for file in (self._data, self._footers, self._rejects):
            file.close()

    def _read_footers(self) -> list[bytes]:
        content = self._footers.read()
        footers, at = [], 0
        while at < len(content):
            length = int.from_bytes(content[at : at + _LENGTH_BYTES], "little")
            footers.append(content[at + _LENGTH_BYTES : at + _LENGTH_BYTES + length])
            at += _LENGTH_BYTES + length
        return footers


_FILES: Final = ("data", "footers", "rejects.csv")


class _GrowingFile:
    """A file that only grows: what an earlier run wrote after its state was saved is cut off first."""

    def __init__(self, path: Path, state: _State) -> None:
        self._path = path
        self.name = path.name
        self.size = state.sizes.get(self.name, 0)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(self.size)
        self._file.seek(self.size)

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self.size += len(content)

    def read(self) -> bytes:
        self._file.flush()
        return self._path.read_bytes()

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def rename(self, place: Path) -> None:
        self.close()
        self._path.chmod(0o644)
        try:
            self._path.replace(place)
        except OSError as error:
            if error.errno != errno.EXDEV:  # another file system, to which nothing can be renamed
                raise
            with self._path.open("rb") as file:
                replace_file(place, file)


def _read_state(path: Path) -> _State:
    """Read it; a run without one, or whose files are shorter than it says (a power cut), begins at the start."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return _State()
    for name, size in read["sizes"].items():
        file = path.with_name(name)
        if not file.exists() or file.stat().st_size < size:
            return _State()
    return _State(tuple(read["position"]), read["sizes"], read["counts"], read["best"])


def _write_rows(rows: Iterator[tuple[object, ...]] | Sequence[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _write_table(table: pa.Table) -> bytes:
    written = pa.BufferOutputStream()
    with pa.ipc.new_file(written, table.schema) as writer:
        writer.write_table(table)
    return bytes(written.getvalue().to_pybytes())
