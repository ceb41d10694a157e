"""SQLite as the engine: steps in order, what it lacks, one customer never seen by another, and nothing else allowed."""

from __future__ import annotations

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from programs import make_program

from churn_mlops.inference.events import engine
from churn_mlops.inference.events.engine import FeatureEngine

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.inference.events.engine import Row


def count(rows: int) -> dict[str, list[Row]]:
    """Make so many events."""
    return {"events": [(0, place, place, "login", None) for place in range(rows)]}


def ask(sql: str) -> Any:
    """Compute one value."""
    computed = FeatureEngine(make_program(sql)).compute({})
    assert computed is not None
    return computed["found"]


def test_steps_read_what_earlier_ones_gave() -> None:
    """A step is a table; the last one's row is the answer, and none means not at risk."""
    engine = FeatureEngine(
        make_program(
            'SELECT "at" FROM "events" WHERE "at" > 0', 'SELECT SUM("value") FROM "step_0" HAVING COUNT(*) > 1'
        )
    )
    assert engine.compute(count(4)) == {"found": 6}
    assert engine.compute(count(2)) is None


def test_a_customer_sees_no_other() -> None:
    """Whatever was asked before, also where that failed, and from threads."""
    engine = FeatureEngine(make_program('SELECT COUNT(*) FROM "events"'))
    with pytest.raises(sqlite3.ProgrammingError):
        engine.compute({"events": [(0, 1, 1, "login", None), (0,)]})
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda rows: engine.compute(count(rows)), [*range(50)] * 4))
    assert found == [{"found": rows} for rows in range(50)] * 4


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("bit_count(7)", 3),
        ("bit_count(NULL)", None),
        ("_ibis_lpad('12', 5, '0')", "00012"),
        ("lower('ÄB') || upper('äb')", "äbÄB"),
        ("'Basic' LIKE 'b%'", 0),
        ("floor(-1.5)", -2.0),
        ("mod(7, 4)", 3),
        ("try_cast_float64(' 1e3 ')", 1000.0),
        ("try_cast_float64('1_0')", None),
        ("try_cast_float64('nan')", None),
        ("try_cast_float64(NULL)", None),
        ("try_cast_int64('5.0')", 5),
        ("try_cast_int64('x')", None),
        ("try_cast_string(5)", "5"),
    ],
)
def test_functions_mean_what_they_mean_in_the_engines(sql: str, found: Any) -> None:
    """Those that SQLite lacks, and those that it has for plain letters only."""
    assert ask(f"SELECT {sql}") == found


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("floor(-1.5)", -2.0),
        ("floor(1e300)", 1e300),
        ("floor(9e999)", math.inf),
        ("floor(7)", 7),
        ("floor(NULL)", None),
        ("mod(7, 4)", 3.0),
        ("mod(-7.5, 2)", -1.5),
        ("mod(7, 0)", None),
        ("mod(9e999, 2)", None),
        ("mod(NULL, 2)", None),
    ],
)
@pytest.mark.parametrize("is_built_in", [True, False])
def test_mathematics_is_the_same_where_sqlite_has_none(
    monkeypatch: pytest.MonkeyPatch, sql: str, found: Any, is_built_in: bool
) -> None:
    """To the type of the number."""
    if not is_built_in:
        monkeypatch.setattr(engine, "_has", lambda connection, call: False)
    computed = ask(f"SELECT {sql}")
    assert (computed, type(computed)) == (found, type(found))


def test_days_are_united() -> None:
    """Bits over rows; of no rows, nothing."""
    assert ask("SELECT bit_or(value) FROM (SELECT 1 AS value UNION ALL SELECT 4 UNION ALL SELECT NULL)") == 5
    assert ask("SELECT bit_or(1) WHERE 0") is None


def test_a_large_time_is_exact() -> None:
    """Microseconds of the year 2100 pass unchanged, and their days are whole."""
    microseconds = 4_102_444_800_000_000
    assert ask(f"SELECT {microseconds} - 1") == microseconds - 1
    assert math.isclose(ask(f"SELECT floor(CAST({microseconds - 1} AS REAL) / 86400000000)"), 47_481)


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '{path}' AS other",
        "PRAGMA user_version",
        "CREATE TABLE more (one)",
        "DROP TABLE events",
        "UPDATE events SET type = 'login'",
        "VACUUM INTO '{path}'",
        "SELECT load_extension('{path}')",
        "SELECT name FROM sqlite_master",
        "SELECT * FROM pragma_database_list",
    ],
)
def test_queries_may_read_their_tables_and_nothing_else(sql: str, tmp_path: Path) -> None:
    """No files, no settings, no changes to the tables: refused when the program is loaded."""
    path = tmp_path / "file"
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited|syntax error|cannot VACUUM"):
        FeatureEngine(make_program(sql.format(path=path)))
    assert not path.exists()
