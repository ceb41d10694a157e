"""Makes small event logs, and the settings and snapshots that go with them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.config.settings import Settings
from churn_mlops.data.events.contract import EventLog, check_events
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from churn_mlops.data.events.engine import Engine

SNAPSHOT = date(2024, 6, 1)
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    """Give the time so many days after the snapshot, before it where negative."""
    return datetime(SNAPSHOT.year, SNAPSHOT.month, SNAPSHOT.day, tzinfo=UTC) + timedelta(days=days)


def event(
    customer: object, days: float, kind: str | None = "login", amount: float | None = None, known: float | None = None
) -> dict[str, Any]:
    """Make an event of a customer, so many days after the snapshot, known at once unless said otherwise."""
    seen = days if known is None else known
    return {"customer_id": customer, "time": at(days), "type": kind, "amount": amount, "known_time": at(seen)}


def write_log(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    """Write events as a Parquet file."""
    pa_parquet.write_table(pa.Table.from_pylist(list(events)), path)
    return path


def log_settings(path: Path, **sections: Any) -> Settings:
    """Give settings for a log of `event`s; what is given goes over the defaults, section by section."""
    events = {"path": str(path), "known_time": "known_time", "amount": "amount"} | sections.pop("events", {})
    data = {"source": "events", "events": events} | sections.pop("data", {})
    churn = {"active_days": 30, "horizon_days": [30]} | sections.pop("churn", {})
    features = {"windows_days": [7, 30]} | sections.pop("features", {})
    return Settings.model_validate({"data": data, "churn": churn, "features": features, **sections})


def shop_settings(path: Path, kind: str, exclude: dict[str, str], **sections: Any) -> Settings:
    """Give settings for the log of the online shop, by the type of its events and what is none."""
    events = {
        "customer": "CustomerID",
        "time": "InvoiceDate",
        "known_time": None,
        "attributes": ["Country"],
        "not_identifying": ["sheet"],
        "derive": {"type": kind, "amount": "Quantity * UnitPrice"},
        "exclude": {"it has no price": "UnitPrice <= 0"} | exclude,
    }
    return log_settings(path, events=events, churn={"active_days": 180, "horizon_days": [90]}, **sections)


def check(engine: Engine, settings: Settings, rejects: Path) -> EventLog:
    """Check the log that settings name."""
    return check_events(engine, settings.data, rejects, read_customers(engine, settings.data), NOW)


def build(
    engine: Engine,
    settings: Settings,
    rejects: Path,
    snapshots: Sequence[date] = (SNAPSHOT,),
    types: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """Build the rows of some snapshots, ordered by snapshot and customer."""
    log = check(engine, settings, rejects)
    beside = read_customers(engine, settings.data), read_cancellations(engine, settings.data)
    builder = SnapshotBuilder.prepare(engine, log, settings, snapshots, *beside, types=types)
    rows: pd.DataFrame = engine.batches(builder.build_all(snapshots)).read_all().to_pandas()
    return rows.sort_values(["snapshot_date", "customer_id"], ignore_index=True)
