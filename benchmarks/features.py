"""Features and outcomes of an invented event log beside a plain DuckDB copy of its Parquet files: time and peak memory.

    python -m benchmarks.features [--events 20000000] [--memory-limit 4GB] [--rounds 3]

Each runs in a process of its own, in turn, under the same limit: ours checks every row, drops duplicates, and writes a
Parquet file with the default features and outcomes of 4 snapshots; the copy reads and writes all columns. Beside them
stands pandas, rolling windows over the events of each customer, on as many rows of the log as --pandas-events says.
`make bench` has it on a small log, where starting and planning weigh as much as the events: no ratio is wanted of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pa_parquet

from benchmarks.comparison import summarise, take_in_turn
from benchmarks.million_rows import run
from benchmarks.table import show
from churn_mlops.config.settings import Settings
from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.engine import open_engine
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.comparison import Comparison

SNAPSHOTS: Final = tuple(date(2024, month, 1) for month in (3, 6, 9, 12))
_WANTED: Final = "at most 5"


@dataclass(frozen=True)
class Taken:
    """What a part took.

    Attributes:
        seconds: without starting Python and importing.
        processor_seconds: of all threads, starting Python and importing too.
        peak_bytes: largest resident memory of the process.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int


def main() -> None:
    """Write the log, measure all parts in turn, and print the table; or, as a process of its own, be one part."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--events", type=int, default=20_000_000)
    options.add_argument("--memory-limit", default="4GB")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--pandas-events", type=int, default=2_000_000)
    options.add_argument(
        "--log", type=Path, help="a log that churn-mlops sample events wrote; without it one is written"
    )
    options.add_argument("--part", choices=[*PARTS], help=argparse.SUPPRESS)
    options.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.part:
        PARTS[chosen.part](chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        show(_compare(chosen, Path(folder), _WANTED))


def measure() -> list[Comparison]:
    """Compare on a log that is small enough for `make bench`."""
    chosen = argparse.Namespace(log=None, events=2_000_000, memory_limit="4GB", rounds=1, pandas_events=200_000)
    with tempfile.TemporaryDirectory() as folder:
        return _compare(chosen, Path(folder), "")


def copy_log(chosen: argparse.Namespace) -> None:
    """Copy the log with DuckDB, all columns, into one Parquet file."""
    connection = duckdb.connect(config={"memory_limit": chosen.memory_limit, "temp_directory": str(chosen.output)})
    with _timed("in all"):
        connection.execute(f"COPY (FROM '{chosen.log}/events/*.parquet') TO '{chosen.output}/copy.parquet'")


def build_features(chosen: argparse.Namespace) -> None:
    """Check the log, build features and outcomes of all snapshots, and write them."""
    log = {name: str(chosen.log / name) for name in ("events", "customers.parquet", "cancellations.parquet")}
    columns = {"known_time": "known_time", "event_id": "event_id", "amount": "amount"}
    attributes = {"known_time": "known_time", "attributes": ["plan", "billing", "price", "country", "channel"]}
    settings = Settings.model_validate(
        {
            "data": {
                "source": "events",
                "events": {"path": log["events"], **columns},
                "customers": {"path": log["customers.parquet"], **attributes},
                "cancellations": {"path": log["cancellations.parquet"], "known_time": "known_time"},
            },
            "churn": {"definition": "cancellation"},
            "engine": {"memory_limit": chosen.memory_limit, "temp_directory": str(chosen.output)},
        }
    )
    with _timed("in all"), open_engine(settings.engine, settings.spark) as engine:
        with _timed("checking"):
            known, cancellations = read_customers(engine, settings.data), read_cancellations(engine, settings.data)
            events = check_events(engine, settings.data, chosen.output / "rejects.csv", known)
        with _timed("adding up"):
            builder = SnapshotBuilder.prepare(engine, events, settings, SNAPSHOTS, known, cancellations)
        with _timed("building"):
            reader = engine.batches(builder.build_all(SNAPSHOTS))
            with pa_parquet.ParquetWriter(chosen.output / "features.parquet", reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)


def roll_with_pandas(chosen: argparse.Namespace) -> None:
    """Count logins and add up amounts in rolling windows of each customer, and look them up at the snapshots."""
    columns = ["event_id", "customer_id", "time", "type", "amount"]
    batches = pa_dataset.dataset(chosen.log / "events").to_batches(columns=columns)
    taken: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in taken) < chosen.pandas_events:
        taken.append(next(batches))
    with _timed("in all"):
        events = pa.Table.from_batches(taken).to_pandas().drop_duplicates("event_id").sort_values("time")
        events["is_login"] = (events["type"] == "login").astype(float)
        by_customer = events.set_index("time").groupby("customer_id")[["is_login", "amount"]]
        windows = [by_customer.rolling(f"{days}D").sum().reset_index() for days in (7, 30, 90)]
        customers = events["customer_id"].unique()
        for snapshot in map(pd.Timestamp, SNAPSHOTS):
            at = pd.DataFrame({"customer_id": customers, "time": snapshot.tz_localize("UTC").as_unit("us")})
            for window in windows:
                pd.merge_asof(at, window.sort_values("time"), on="time", by="customer_id", allow_exact_matches=False)


PARTS: Final = {"copy": copy_log, "features": build_features, "pandas": roll_with_pandas}


def _compare(chosen: argparse.Namespace, folder: Path, wanted: str) -> list[Comparison]:
    if chosen.log is None:
        chosen.log = folder / "log"
        sample = ["sample", "events", "--output", str(chosen.log), "--events", str(chosen.events)]
        run([sys.executable, "-m", "churn_mlops", *sample], {})
    rows = sum(pa_parquet.read_metadata(file).num_rows for file in (chosen.log / "events").iterdir())
    named = f"{rows:,} events, {chosen.memory_limit}"
    rounds = take_in_turn(
        [lambda: _measure("features", chosen, folder), lambda: _measure("copy", chosen, folder)], chosen.rounds
    )
    pandas = _measure("pandas", chosen, folder)
    seconds = [[taken.seconds for taken in each] for each in rounds]
    memory = [[taken.peak_bytes / 2**30 for taken in each] for each in rounds]
    ours = min(each[0] for each in seconds) / rows * 1e6
    beside = f"pandas on {chosen.pandas_events:,} of them, {pandas.peak_bytes / 2**30:.1f} GiB"
    processors = [[taken.processor_seconds for taken in each] for each in rounds]
    return [
        summarise(named, "s", seconds, "DuckDB COPY", wanted),
        summarise(f"{named}: processor time", "s", processors, "DuckDB COPY"),
        summarise(f"{named}: peak memory", "GiB", memory, "DuckDB COPY"),
        summarise(f"{named}: a million", "s", [[ours, pandas.seconds / chosen.pandas_events * 1e6]], beside),
    ]


def _measure(part: str, chosen: argparse.Namespace, folder: Path) -> Taken:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        arguments = [
            "--part",
            part,
            "--log",
            str(chosen.log),
            "--output",
            output,
            "--memory-limit",
            chosen.memory_limit,
        ]
        arguments += ["--pandas-events", str(chosen.pandas_events)]
        done = run([sys.executable, "-m", "benchmarks.features", *arguments], {})
    return Taken(float(done.output.splitlines()[-1].split()[-2]), done.cpu_seconds, done.peak_bytes)


@contextmanager
def _timed(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - began:.2f} s", flush=True)


if __name__ == "__main__":
    main()
