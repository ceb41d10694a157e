"""One customer's events to its features, in process: SQLite beside DuckDB by the same queries, and beside a lookup."""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _duckdb
import duckdb
import numpy as np
import sqlglot
from rich.console import Console
from rich.table import Table

from churn_mlops.api.events_schema import EventsSchema
from churn_mlops.config.settings import Settings
from churn_mlops.data.event_sample.writing import SampleSize, write_sample
from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.engine import open_engine
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_customers
from churn_mlops.inference.events.engine import FeatureEngine
from churn_mlops.inference.events.taking import EventTaker
from churn_mlops.models.signature import Feature, Signature
from churn_mlops.training.event_program import compile_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from churn_mlops.inference.events.engine import Row
    from churn_mlops.inference.events.program import EventProgram

SIZES = (10, 100, 1_000, 10_000)
SECONDS = 2.0
STORED, BLOCK = 100_000, 10_000
AS_OF = datetime(2024, 12, 1, tzinfo=UTC)
SPREAD_DAYS = 200

Call = Callable[[], object]


def make_program(folder: Path) -> EventProgram:
    """Compile the features of a sample log with default windows: late events, an attribute of customers."""
    write_sample(folder / "log", SampleSize(400, 200), seed=0)
    events = {"path": str(folder / "log" / "events"), "known_time": "known_time", "amount": "amount"}
    customers = {"path": str(folder / "log" / "customers.parquet"), "known_time": "known_time", "attributes": ["plan"]}
    settings = Settings.model_validate({"data": {"source": "events", "events": events, "customers": customers}})
    with open_engine(settings.engine, settings.spark) as engine:
        known = read_customers(engine, settings.data)
        log = check_events(engine, settings.data, folder / "rejects.csv", known)
        builder = SnapshotBuilder.prepare(engine, log, settings, [AS_OF.date()], known)
        return compile_program(settings, log, builder)


def draw_request(number: int, types: Sequence[str]) -> bytes:
    """Draw a request with events of the days before."""
    drawn = np.random.default_rng(number)
    seconds = drawn.integers(1, SPREAD_DAYS * 86_400, number).tolist()
    events = [
        {"type": kind, "time": (AS_OF - timedelta(seconds=before)).isoformat(), "amount": round(amount, 2)}
        for kind, before, amount in zip(
            drawn.choice(list(types), number).tolist(), seconds, drawn.exponential(20, number).tolist(), strict=True
        )
    ]
    return json.dumps({"as_of": str(AS_OF.date()), "events": events}).encode()


class DuckDbQueries:
    """The same queries in DuckDB, as the API image could run them: without Ibis, pandas and Arrow.

    Args:
        program: the queries.
    """

    def __init__(self, program: EventProgram) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._inputs = [*program.inputs]
        self._columns = program.steps[-1].columns
        for name, columns in program.inputs.items():
            kinds = ("VARCHAR" if column in ("type", "plan") else "BIGINT" for column in columns)
            typed = ", ".join(f'"{column}" {kind}' for column, kind in zip(columns, kinds, strict=True))
            self._connection.execute(f"CREATE TABLE {name} ({typed})")
        self._steps = [(step.table, _translate(step.sql)) for step in program.steps]

    def compute(self, tables: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
        """Compute a customer's features."""
        execute = self._connection.execute
        for name in self._inputs:
            execute(f"TRUNCATE {name}")
            self._connection.register("arrays", _to_arrays(tables[name]))
            execute(f"INSERT INTO {name} FROM arrays")
        *steps, (_, last) = self._steps
        for table, sql in steps:
            execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}")
        row = execute(last).fetchone()
        return dict(zip(self._columns, row or (), strict=True))


def _to_arrays(rows: Sequence[Row]) -> dict[str, Any]:
    return {f"c{place}": np.array(values) for place, values in enumerate(zip(*rows, strict=True))}


def _translate(sql: str) -> str:
    """Write a query of SQLite as one of DuckDB, whose functions have other names and whose numbers have sizes."""
    (written,) = sqlglot.transpile(sql, read="sqlite", write="duckdb")
    return written.replace("_IBIS_LPAD", "LPAD").replace("AS INT)", "AS BIGINT)")


def store(path: Path, names: Sequence[str]) -> Call:
    """Write features of many customers, as a batch job would export them; give what looks up one that was drawn."""
    connection = sqlite3.connect(path)
    columns = ", ".join(f'"{name}"' for name in names)
    connection.execute(f"CREATE TABLE features (customer INTEGER PRIMARY KEY, {columns})")
    drawn = np.random.default_rng(0)
    insert = f"INSERT INTO features VALUES ({', '.join('?' * (len(names) + 1))})"  # noqa: S608 - no value is in it
    for start in range(0, STORED, BLOCK):
        block = enumerate(drawn.random((BLOCK, len(names))).tolist(), start)
        connection.executemany(insert, ((customer, *row) for customer, row in block))
    connection.commit()
    asked = drawn.integers(0, STORED, 1_000_000).tolist()
    return lambda: connection.execute("SELECT * FROM features WHERE customer = ?", (asked.pop(),)).fetchone()


def time_calls(call: Call) -> tuple[float, float]:
    """Call for a while; give the median and the 99th percentile, in milliseconds."""
    call()
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken), float(np.percentile(taken, 99))


def name_calls(number: int, program: EventProgram, queries: FeatureEngine, other: DuckDbQueries) -> dict[str, Call]:
    """Name what is done for a request of so many events, after making sure that both compute the same of it."""
    names = [name for name in program.steps[-1].columns if name != "plan"]
    signature = Signature(features=tuple(Feature(name=name, kind="numeric") for name in names))
    schema, taker = EventsSchema(program, signature, "threshold", number), EventTaker(program)
    body = draw_request(number, program.contract.types)

    def read() -> list[Row]:
        return taker.take(schema.read(body)["events"], AS_OF.date(), datetime.now(UTC)).rows

    tables = {"events": read(), "customers": taker.take_customer({"plan": "basic"})}
    ours, theirs = queries.compute(tables) or {}, other.compute(tables)
    for name in names:
        if not _are_equal(ours[name], theirs[name]):
            message = f"{name} is {ours[name]} and {theirs[name]}"
            raise ValueError(message)
    return {
        "read and checked": read,
        "SQLite": lambda: queries.compute(tables),
        "DuckDB": lambda: other.compute(tables),
    }


def _are_equal(one: Any, other: Any) -> bool:
    return one == other or math.isclose(one, other, rel_tol=1e-9)


def measure_library() -> float:
    """Measure what DuckDB's package takes, in MB."""
    files = [Path(_duckdb.__file__), *Path(duckdb.__file__).parent.rglob("*.py")]
    return sum(path.stat().st_size for path in files) / 1e6


def main() -> None:
    """Measure and print."""
    table = Table("events", "measured", "median", "99th percentile")
    with tempfile.TemporaryDirectory() as folder:
        program = make_program(Path(folder))
        queries, other = FeatureEngine(program), DuckDbQueries(program)
        for number in SIZES:
            for what, call in name_calls(number, program, queries, other).items():
                median, high = time_calls(call)
                table.add_row(f"{number:,}", what, f"{median:.2f} ms", f"{high:.2f} ms")
        exported = Path(folder) / "features.db"
        median, high = time_calls(store(exported, program.steps[-1].columns))
        table.add_row("any", f"looked up among {STORED:,} customers", f"{median:.2f} ms", f"{high:.2f} ms")
        stored = exported.stat().st_size / 1e6
    table.title = f"{len(program.steps[-1].columns)} features of one customer"
    console = Console()
    console.print(table)
    console.print(f"DuckDB's package: {measure_library():.0f} MB; the exported table: {stored:.0f} MB")


if __name__ == "__main__":
    main()
