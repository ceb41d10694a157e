"""What the service computes from one customer's events is what the engine computes from the log, for every customer."""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pa_parquet
import pytest
from event_logs import NOW, SNAPSHOT, build, check, event, log_settings, write_log
from event_requests import by_customer
from hypothesis import given, settings
from hypothesis import strategies as st
from test_leaks import ANCHORS, events

from churn_mlops.config.settings import Settings
from churn_mlops.data.event_sample.writing import SampleSize, write_sample
from churn_mlops.errors import NotCompilable
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers
from churn_mlops.inference.events.engine import FeatureEngine
from churn_mlops.inference.events.taking import EventTaker
from churn_mlops.training.event_program import compile_program, prove_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine
    from churn_mlops.inference.events.program import EventProgram

TYPES = ("login", "purchase", "other")
DATES = (date(2024, 8, 1), date(2024, 9, 1), date(2024, 10, 1))


class Built:
    """A log's snapshots in the engine, and the program of their features."""

    def __init__(
        self, engine: Engine, configured: Settings, folder: Path, dates: Sequence[date], types: Any = None
    ) -> None:
        beside = read_customers(engine, configured.data), read_cancellations(engine, configured.data)
        self.log: EventLog = check(engine, configured, folder / "rejects.csv")
        self.builder = SnapshotBuilder.prepare(engine, self.log, configured, dates, *beside, types=types)
        self.program: EventProgram = compile_program(configured, self.log, self.builder)
        self._engine = engine

    def rows(self, day: date) -> dict[Any, dict[str, Any]]:
        """Build the features of a snapshot in the engine, by customer."""
        table = self.builder.build(day, with_outcomes=False)
        return {row["customer_id"]: row for row in self._engine.batches(table).read_all().to_pylist()}


def compute(
    program: EventProgram, queries: FeatureEngine, events: Sequence[dict[str, Any]], day: date, **beside: Any
) -> dict[str, Any] | None:
    """Compute a customer's features from its events."""
    taker = EventTaker(program)
    tables = {"events": taker.take(events, day, NOW).rows}
    if program.customer is not None:
        tables["customers"] = taker.take_customer(beside.get("customer") or {})
    if program.has_cancellations:
        tables["cancellations"] = taker.take_cancellations(beside.get("cancellations") or [], day)
    return queries.compute(tables)


def assert_same(found: Mapping[str, Any], row: Mapping[Any, Any]) -> None:
    """Compare features, all that the engine has: texts to the letter, numbers to 1e-9."""
    assert set(found) == set(row) - {"customer_id", "snapshot_date"}
    wrong = {
        name: (value, row[name])
        for name, value in found.items()
        if value != row[name] and (None in (value, row[name]) or value != pytest.approx(row[name], rel=1e-9, abs=1e-9))
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def sampled(duckdb_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    """A dirty sample log of 300 customers, with late events, attributes, cancellations and expressions."""
    folder = tmp_path_factory.mktemp("events") / "log"
    write_sample(folder, SampleSize(200, 300), seed=3, dirty=True)
    configured = Settings.model_validate(
        {
            "data": {
                "source": "events",
                "events": {
                    "path": str(folder / "events"),
                    "known_time": "known_time",
                    "event_id": "event_id",
                    "amount": "amount",
                    "nonnegative": ["payment"],
                },
                "customers": {
                    "path": str(folder / "customers.parquet"),
                    "known_time": "known_time",
                    "attributes": ["plan", "price"],
                },
                "cancellations": {"path": str(folder / "cancellations.parquet"), "known_time": "known_time"},
            },
            "churn": {"active_days": 45, "event_types": ["login", "usage"]},
            "features": {
                "windows_days": [7, 60],
                "event_types": 5,
                "expressions": {
                    "per_day": "events_60d / tenure_days",
                    "on_a_plan": "CASE WHEN plan LIKE '%B%' THEN 1 WHEN lower(plan) IN ('basic', 'pro') THEN 2 END",
                    "is_dear": "price > 20 AND NOT plan IS NULL",
                    "price_text": "CAST(CAST(price AS TEXT) AS DOUBLE) + abs(events_trend_7d)",
                },
            },
        }
    )
    return Built(duckdb_engine, configured, folder, DATES), folder


def test_every_customer_of_a_log_has_the_features_of_the_engine(sampled: tuple[Built, Path]) -> None:
    """At three snapshots: who is at risk in the engine is at risk here, with the same features, and nobody else is."""
    built, folder = sampled
    events = by_customer(pd.read_parquet(folder / "events"))
    attributes = pa_parquet.read_table(folder / "customers.parquet").to_pylist()
    cancelled = pa_parquet.read_table(folder / "cancellations.parquet").to_pylist()
    known = {row["customer_id"] for row in attributes}
    queries = FeatureEngine(built.program)
    compared = 0
    for day in DATES:
        rows = built.rows(day)
        for customer, own in events.items():
            latest: dict[str, Any] = {}
            for row in sorted(attributes, key=lambda row: row["known_time"]):
                if row["customer_id"] == customer and row["known_time"].date() < day:
                    latest = {"plan": row["plan"], "price": row["price"]}
            left = [row for row in cancelled if row["customer_id"] == customer]
            found = compute(built.program, queries, own, day, customer=latest, cancellations=left)
            assert (found is not None) == (customer in rows) or customer not in known
            if found is not None and customer in rows:
                assert_same(found, rows[customer])
                compared += 1
    assert compared > 250


def test_a_program_is_proved_on_customers(sampled: tuple[Built, Path]) -> None:
    """The proof passes on what the engine built, and names the first feature that differs."""
    built, _ = sampled
    rows = list(built.rows(DATES[1]).values())[:10]
    prove_program(built.program, built.builder, built.log, DATES[1], rows)
    rows[7]["events_7d"] += 1
    with pytest.raises(NotCompilable, match="SQLite gives events_7d as"):
        prove_program(built.program, built.builder, built.log, DATES[1], rows)


@settings(max_examples=8, deadline=None)
@given(log=st.lists(events(customers="abcdefghij"), min_size=10, max_size=80))
def test_any_log_gives_the_features_of_the_engine(
    duckdb_engine: Engine, of_any_log: FeatureEngine, log: list[dict[str, Any]]
) -> None:
    """Property: whatever happened when and became known when, on any day and at any time of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_log(Path(folder) / "log.parquet", [*log, *ANCHORS])
        rows = {
            row.pop("customer_id"): row
            for row in build(duckdb_engine, log_settings(path), Path(folder) / "rejects.csv", types=TYPES)
            .drop(columns="churned_30d")
            .astype(object)
            .replace(np.nan, None)
            .to_dict("records")
        }
    for customer, own in by_customer(pd.DataFrame([*log, *ANCHORS])).items():
        found = compute(of_any_log.program, of_any_log, own, SNAPSHOT)
        assert (found is not None) == (customer in rows)
        if found is not None:
            assert_same(found, rows[customer])


@pytest.fixture(scope="module")
def of_any_log(duckdb_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> FeatureEngine:
    """What computes the features of logs of `event_logs.event`, whatever is in them."""
    folder = tmp_path_factory.mktemp("any")
    configured = log_settings(write_log(folder / "log.parquet", [*ANCHORS, event("a", -1, amount=1.0)]))
    return FeatureEngine(Built(duckdb_engine, configured, folder, [SNAPSHOT], TYPES).program)


def test_types_that_were_not_learnt_count_among_all_events_only(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Where the log had no others, a type that came later is not taken for the last of those that were learnt."""
    log = [event("anna", -1, "login"), event("anna", -2, "ticket"), event("anna", -3, "upgrade"), event("emil", 40)]
    configured = log_settings(write_log(tmp_path / "log.parquet", log))
    built = Built(duckdb_engine, configured, tmp_path, [SNAPSHOT], ("login", "ticket"))
    anna = built.rows(SNAPSHOT)["anna"]
    assert (anna["events_7d"], anna["login_events_7d"], anna["ticket_events_7d"]) == (3, 1, 1)
    found = compute(built.program, FeatureEngine(built.program), by_customer(pd.DataFrame(log))["anna"], SNAPSHOT)
    assert found is not None
    assert_same(found, anna)


@pytest.mark.parametrize(
    ("events", "identifying"),
    [
        ({}, ("time", "type", "amount", "known_time")),
        ({"not_identifying": ["known_time"]}, ("time", "type", "amount")),
        ({"event_id": "event_id"}, None),
        ({"amount": None}, None),  # the log has a column of amounts all the same, which a request does not
    ],
)
def test_what_makes_events_the_same_is_what_the_log_said(
    duckdb_engine: Engine, tmp_path: Path, events: dict[str, Any], identifying: tuple[str, ...] | None
) -> None:
    """The columns of the log that a request has, where those are all that tell its rows apart."""
    rows = [{**event("anna", -1)}, {**event("emil", 40)}]
    if "event_id" in events:
        rows = [{**row, "event_id": str(place)} for place, row in enumerate(rows)]
    configured = log_settings(write_log(tmp_path / "log.parquet", rows), events=events)
    built = Built(duckdb_engine, configured, tmp_path, [SNAPSHOT])
    assert built.program.contract.identifying == identifying


def test_what_sqlite_cannot_say_is_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """More columns than a table of SQLite has: the sentence says so."""
    log = [event("anna", -days, f"type {days}") for days in range(1, 61)] + [event("emil", 400)]
    wide = {"event_types": 60, "windows_days": list(range(1, 30))}
    configured = log_settings(write_log(tmp_path / "log.parquet", log), features=wide)
    with pytest.raises(NotCompilable, match="more than the 1,900 that SQLite"):
        Built(duckdb_engine, configured, tmp_path, [SNAPSHOT])


def test_what_sqlite_refuses_to_run_is_refused(
    duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query with more columns than this SQLite takes, as one has with a hundred types where it takes 2,000."""
    connect = sqlite3.connect

    def connect_narrowly(*places: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*places, **options)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 40)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_narrowly)
    log = [event("anna", -days, f"type {days}") for days in range(1, 4)] + [event("emil", 400)]
    configured = log_settings(write_log(tmp_path / "log.parquet", log), features={"event_types": 3})
    built = Built(duckdb_engine, configured, tmp_path, [SNAPSHOT])
    with pytest.raises(NotCompilable, match=r"^SQLite refuses a query: too many columns"):
        prove_program(built.program, built.builder, built.log, SNAPSHOT, list(built.rows(SNAPSHOT).values()))


def test_an_attribute_that_no_request_has_is_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A date, which JSON does not know: the sentence names the column and what it holds."""
    rows = [{"customer_id": name, "signup": SNAPSHOT} for name in ("anna", "emil")]
    beside = {"path": str(write_log(tmp_path / "customers.parquet", rows)), "attributes": ["signup"]}
    log = write_log(tmp_path / "log.parquet", [event("anna", -1), event("emil", 40)])
    with pytest.raises(NotCompilable, match=r"^data\.customers\.attributes names 'signup', which holds date; a "):
        Built(duckdb_engine, log_settings(log, data={"customers": beside}), tmp_path, [SNAPSHOT])


def test_a_program_is_written_and_read_again(sampled: tuple[Built, Path]) -> None:
    """To the letter, and it computes the same."""
    built, _ = sampled
    read = type(built.program).model_validate_json(built.program.model_dump_json())
    assert read == built.program
    assert replace(EventTaker(built.program), program=read) == EventTaker(read)
