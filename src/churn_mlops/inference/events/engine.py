"""Computes one customer's features by the queries of a version, in SQLite from Python's standard library."""

from __future__ import annotations

import math
import re
import sqlite3
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from churn_mlops.inference.events.program import EventProgram

Cell = int | float | str | None
"""What a column of SQLite holds."""

Row = tuple[Cell, ...]

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_ALLOWED: Final = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_TRANSACTION,
}
_FORBIDDEN_FUNCTIONS: Final = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
_MOST_STATEMENTS: Final = 128


class FeatureEngine:
    """Computes features; threads may share it, each call has a database of its own, in memory.

    Args:
        program: the queries, and the tables that they begin with.

    Attributes:
        program: as given.

    Raises:
        sqlite3.Error: a query cannot be run.
    """

    def __init__(self, program: EventProgram) -> None:
        self.program = program
        self._columns = program.steps[-1].columns
        self._inputs = {
            name: _insert(name, columns, f"VALUES ({', '.join('?' * len(columns))})")
            for name, columns in program.inputs.items()
        }
        *before, self._last = [step.sql for step in program.steps]
        self._steps = [
            _insert(step.table, step.columns, sql) for step, sql in zip(program.steps[:-1], before, strict=True)
        ]
        self._empty = [f"DELETE FROM {_quote(name)}" for name in (*program.inputs, *self._kept())]  # noqa: S608 - quoted
        # who is done gives its database back: there are as many as were ever needed at once
        self._idle: deque[sqlite3.Connection] = deque()
        weakref.finalize(self, _close, self._idle)
        self.compute({})

    def compute(self, tables: Mapping[str, Sequence[Row]]) -> dict[str, Cell] | None:
        """Compute the features of the customer whose rows these are.

        Args:
            tables: rows by the name of an input; one that is absent has none.

        Returns:
            The values by feature; None where the customer is not at risk.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        try:
            with connection:  # one transaction, which a failure rolls back
                row = self._run(connection, tables)
        finally:
            self._idle.append(connection)
        return None if row is None else dict(zip(self._columns, row, strict=True))

    def _run(self, connection: sqlite3.Connection, tables: Mapping[str, Sequence[Row]]) -> Row | None:
        for empty in self._empty:
            connection.execute(empty)
        for name, rows in tables.items():
            connection.executemany(self._inputs[name], rows)
        for step in self._steps:
            connection.execute(step)
        row: Row | None = connection.execute(self._last).fetchone()
        return row

    def _kept(self) -> list[str]:
        return [step.table for step in self.program.steps[:-1]]

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=_MOST_STATEMENTS)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA case_sensitive_like = ON")
        _add_functions(connection)
        tables = {**self.program.inputs, **{step.table: step.columns for step in self.program.steps[:-1]}}
        for name, columns in tables.items():
            # columns without a type keep values as they are
            connection.execute(f"CREATE TABLE {_quote(name)} ({', '.join(map(_quote, columns))})")
        connection.commit()
        connection.set_authorizer(_authorize)


def _close(connections: deque[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def _insert(table: str, columns: Sequence[str], source: str) -> str:
    return f"INSERT INTO {_quote(table)} ({', '.join(map(_quote, columns))}) {source}"


def _quote(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    """Allow queries to read and fill the tables that there are, and nothing else: no files, no settings."""
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    if database not in (None, "main") or (first or "").startswith("sqlite_"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


class _BitOr:
    """Sets every bit that is set in any row; missing where there is no row."""

    def __init__(self) -> None:
        self._bits: int | None = None

    def step(self, bits: int | None) -> None:
        """Take a row."""
        if bits is not None:
            self._bits = bits | (self._bits or 0)

    def finalize(self) -> int | None:
        """Give the result."""
        return self._bits


def _add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that the queries use and SQLite lacks, or has for plain letters only."""
    connection.create_aggregate("bit_or", 1, _BitOr)  # type: ignore[arg-type]  # the result may be missing
    for name, (arguments, function) in _FUNCTIONS.items():
        connection.create_function(name, arguments, _missing_for_missing(function), deterministic=True)
    for name, (arguments, function) in _MATHEMATICS.items():
        if not _has(connection, f"{name}({', '.join('1' * arguments)})"):
            connection.create_function(name, arguments, _missing_for_missing(function), deterministic=True)


def _has(connection: sqlite3.Connection, call: str) -> bool:
    try:
        connection.execute(f"SELECT {call}")
    except sqlite3.OperationalError:
        return False
    return True


def _missing_for_missing(function: Callable[..., Cell]) -> Callable[..., Cell]:
    """Give a missing value wherever one is given."""

    def call(*arguments: Any) -> Cell:
        return None if None in arguments else function(*arguments)

    return call


def _read_number(value: float | str) -> float | None:
    """Read a number as the engines do, which know fewer ways to write one than Python does."""
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _read_whole(value: float | str) -> int | None:
    number = _read_number(value)
    return None if number is None or not math.isfinite(number) or abs(number) >= 2**63 else round(number)


def _write_text(value: float | str) -> str:
    return value if isinstance(value, str) else str(value)


def _floor(value: float) -> float:
    return value if isinstance(value, int) or math.isinf(value) else float(math.floor(value))


def _find_remainder(value: float, by: float) -> float | None:
    """Divide, and give what is left; missing where nothing can be divided."""
    return None if by == 0 or math.isinf(value) else math.fmod(value, by)


_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Cell]]]] = {
    "bit_count": (1, int.bit_count),
    "_ibis_lpad": (3, lambda text, width, fill: text.rjust(width, fill)),
    "lower": (1, str.lower),
    "upper": (1, str.upper),
    "try_cast_float64": (1, _read_number),
    "try_cast_int64": (1, _read_whole),
    "try_cast_string": (1, _write_text),
}

# SQLite can be built without these
_MATHEMATICS: Final[dict[str, tuple[int, Callable[..., Cell]]]] = {
    "floor": (1, _floor),
    "mod": (2, _find_remainder),
}
