"""Makes the customer table that models learn from out of an event log: customers at risk, at every snapshot."""

from __future__ import annotations

from dataclasses import fields
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.engine import open_engine
from churn_mlops.data.reading import RawTable
from churn_mlops.data.table import check_table
from churn_mlops.errors import DataError, NotCompilable
from churn_mlops.features.building import CUSTOMER, SNAPSHOT, SnapshotBuilder, find_features
from churn_mlops.features.customers import read_cancellations, read_customers
from churn_mlops.features.definitions import describe_own
from churn_mlops.features.labels import label_name
from churn_mlops.features.naming import TARGET
from churn_mlops.features.snapshots import choose_snapshots
from churn_mlops.registry.manifest import ChurnDefinition, EventFeatures
from churn_mlops.training.event_program import compile_program, prove_program
from churn_mlops.training.snapshot_table import SnapshotTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import ibis.expr.types as ir
    import numpy.typing as npt

    from churn_mlops.config.settings import DataSettings, Settings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine
    from churn_mlops.features.definitions import Feature
    from churn_mlops.inference.events.program import EventProgram

_PROVED_CUSTOMERS: Final = 25
"""On how many customers what the service computes is compared with the engine."""


def load_events(settings: Settings, value_column: str | None = None, segments: Sequence[str] = ()) -> SnapshotTable:
    """Load the snapshots of the configured log; its rejected rows are written on the way.

    Args:
        settings: the configuration.
        value_column: the column that says what each customer is worth.
        segments: columns to evaluate by.

    Raises:
        DataError: the log cannot be used; the sentence says what was expected.
    """
    unusable: dict[str, str] = {}
    with open_engine(settings.engine, settings.spark) as engine:
        customers = read_customers(engine, settings.data, unusable.__setitem__)
        cancellations = read_cancellations(engine, settings.data, unusable.__setitem__)
        log = _check_log(engine, settings, customers)
        snapshots = choose_snapshots(settings.churn, log.first, log.last)
        dates = (*snapshots.training, *snapshots.test)
        builder = SnapshotBuilder.prepare(engine, log, settings, dates, customers, cancellations)
        rows = engine.batches(builder.build_all(dates)).read_all()
        program, cannot = _make_program(settings, log, builder, max(dates), rows)
    name = log.name.rstrip("/").rsplit("/", 1)[-1]
    raw, told, notes, outcomes = _name_columns(rows, settings, name)
    table = check_table(raw, told, name, value_column, segments)
    assert table.time is not None  # noqa: S101 - it is read with its times
    held_out = (table.time >= pd.Timestamp(snapshots.test[0], tz="UTC")).to_numpy()
    described = f"{log.describe()} (all of them in {log.rejects})" if log.rejected else log.describe()
    accepted = np.ones(raw.columns.num_rows, dtype=bool)
    accepted[[reject.row - 1 for reject in table.rejects]] = False  # rows are numbered from 1, and all of them
    further = {days: outcome[accepted] for days, outcome in outcomes.items()}
    checked = {one.name: getattr(table, one.name) for one in fields(table)}
    changed = {"held_out": held_out, "notes": {"data.events": described, **unusable, **notes, **cannot, **table.notes}}
    return SnapshotTable(
        **(checked | changed),
        event_features=remember_features(settings, builder.cells.types),
        event_program=program,
        further=further,
        wordings={feature.name: feature.wording for feature in builder.features if feature.wording},
    )


def _make_program(
    settings: Settings, log: EventLog, builder: SnapshotBuilder, snapshot: date, rows: pa.Table
) -> tuple[EventProgram | None, dict[str, str]]:
    """Make what computes the same features from one customer's events, or say why there is no such thing."""
    some = rows.filter(pc.equal(rows[SNAPSHOT], pa.scalar(snapshot))).sort_by(CUSTOMER).slice(0, _PROVED_CUSTOMERS)
    try:
        program = compile_program(settings, log, builder)
        prove_program(program, builder, log, snapshot, some.to_pylist())
    except NotCompilable as error:
        return None, {"/predict/events": f"cannot be asked for this version: {error}"}
    return program, {}


def remember_features(settings: Settings, types: tuple[str, ...]) -> EventFeatures:
    """Write down what features are made by.

    Args:
        settings: the configuration.
        types: event types with features of their own.
    """
    events, customers, churn = settings.data.events, settings.data.customers, settings.churn
    return EventFeatures(
        types=types,
        windows_days=settings.features.windows_days,
        has_amount=events.amount is not None,
        attributes=events.attributes,
        customer_attributes=customers.attributes if customers else (),
        expressions=settings.features.expressions,
        churn=ChurnDefinition(**churn.model_dump(include=set(ChurnDefinition.model_fields))),
        earliest=events.earliest,
        nonnegative=events.nonnegative,
    )


def list_features(settings: Settings) -> tuple[Feature, ...]:
    """List what is computed from the configured log, the operator's own attributes and expressions last."""
    with open_engine(settings.engine, settings.spark) as engine:
        log = _check_log(engine, settings, read_customers(engine, settings.data))
        found = find_features(log, settings)
    customers = settings.data.customers
    attributes = (*settings.data.events.attributes, *(customers.attributes if customers else ()))
    own = [describe_own(name, "as known at the snapshot") for name in attributes]
    return (*found, *own, *(describe_own(name, text) for name, text in settings.features.expressions.items()))


def _check_log(engine: Engine, settings: Settings, customers: ir.Table | None) -> EventLog:
    rejects = settings.artifacts.path / "rejects" / "events.csv"
    with explain_unwritable(rejects.parent):
        return check_events(engine, settings.data, rejects, customers)


class _Named(NamedTuple):
    """Rows to check as a table, what its columns mean, notes, and the outcomes of the further horizons."""

    raw: RawTable
    told: DataSettings
    notes: dict[str, str]
    further: dict[int, npt.NDArray[np.bool_]]


def _name_columns(rows: pa.Table, settings: Settings, name: str) -> _Named:
    """Order the rows, leave out those of which an outcome is not known, and say what the columns mean."""
    outcomes = {days: label_name(days) for days in settings.churn.horizon_days}
    learnt, *others = outcomes.values()
    known = reduce(pc.and_, (pc.is_valid(rows[name]) for name in outcomes.values()))
    unknown = rows.num_rows - (pc.sum(known).as_py() or 0)
    rows = rows.filter(known).sort_by([(SNAPSHOT, "ascending"), (CUSTOMER, "ascending")])
    if rows.num_rows == 0:
        raise DataError(f"{name} has no customer at risk whose outcome is known; raise churn.active_days.")
    columns = rows.drop_columns([learnt, *others]).append_column(TARGET, rows[learnt].cast(pa.string()))
    told = settings.data.model_copy(
        update={
            "source": "table",
            "customer_id": CUSTOMER,
            "time": SNAPSHOT,
            "target": TARGET,
            "positive_label": "true",
            "negative_label": None,
        }
    )
    left_out = (
        f"{unknown:,} rows are left out: the outcome is not known, fell into churn.lead_days, or was a cancellation "
        f"before the snapshot that was known only later"
    )
    notes = {learnt: left_out} if unknown else {}
    further = {days: rows[name].to_numpy() for days, name in outcomes.items() if name != learnt}
    return _Named(RawTable(columns, np.arange(1, rows.num_rows + 1, dtype=np.int64)), told, notes, further)
