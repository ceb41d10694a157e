"""Computes one snapshot of an event log: the customers at risk on a day with their features, and no outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.meaning import to_date
from churn_mlops.errors import DataError
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import ibis.expr.types as ir

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine


@dataclass(frozen=True)
class LogSnapshot:
    """The customers at risk on a day.

    Attributes:
        engine: that holds them.
        rows: customer_id, snapshot_date and the features, a row each, in no order.
        day: the snapshot; nothing that was not known before its midnight (UTC) counts.
        customers: how many there are.
        log: what it was computed of.
        notes: what people should know of the tables beside the log.
    """

    engine: Engine
    rows: ir.Table
    day: date
    customers: int
    log: EventLog
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.log.name} as of {self.day}"

    @property
    def log_ended(self) -> date:
        """The day of the log's last event."""
        return to_date(self.log.last)


def compute_snapshot(
    engine: Engine,
    settings: Settings,
    rejects: Path,
    day: date | None = None,
    types: tuple[str, ...] | None = None,
    observe: Callable[[str], None] = lambda _: None,
) -> LogSnapshot:
    """Compute a snapshot of the configured log.

    Args:
        engine: that does it.
        settings: the configuration.
        rejects: the file that the log's rejected rows are written to; there is none where none was rejected.
        day: the snapshot; the day after the log's last event without it.
        types: event types with features of their own, where a model has learnt them; found in the log without.
        observe: told in words what is done next.

    Raises:
        DataError: the log cannot be used, or nobody is at risk on that day.
    """
    observe("reading the event log")
    unusable: dict[str, str] = {}
    customers = read_customers(engine, settings.data, unusable.__setitem__)
    cancellations = read_cancellations(engine, settings.data, unusable.__setitem__)
    observe("checking events")
    log = check_events(engine, settings.data, rejects, customers)
    if not log.rejected:
        rejects.unlink()
    begins, ends = to_date(log.first), to_date(log.last)
    day = day or ends + timedelta(days=1)
    if day <= begins:
        raise DataError(f"There is nothing to look back on at {day}: the log begins on {begins}, and ends on {ends}.")
    observe(f"adding up {log.rows_used:,} events")
    builder = SnapshotBuilder.prepare(engine, log, settings, (day,), customers, cancellations, types=types)
    observe(f"computing features as of {day}")
    rows = engine.keep(builder.build(day, with_outcomes=False))
    number = engine.count(rows)
    if number == 0:
        raise DataError(
            f"No customer is at risk on {day}: nobody was active in the {settings.churn.active_days} days before "
            f"(churn.active_days), and had not left already. The log runs from {begins} to {ends}."
        )
    return LogSnapshot(engine, rows, day, number, log, tuple(f"{key}: {note}" for key, note in unusable.items()))
