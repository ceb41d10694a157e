"""Makes the file by which the service computes a customer's features from its events, and proves it on customers."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import midnight
from churn_mlops.errors import NotCompilable
from churn_mlops.features.building import CUSTOMER
from churn_mlops.features.cells import OTHER
from churn_mlops.features.compiling import CANCELLATIONS, COMPILED_SNAPSHOT, CUSTOMERS, EVENTS, compile_snapshot
from churn_mlops.features.customers import attributes_at
from churn_mlops.inference.events.engine import FeatureEngine
from churn_mlops.inference.events.program import CustomerColumn, EventContract, EventProgram, Step
from churn_mlops.inference.events.taking import CUSTOMER as THE_CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.features.building import SnapshotBuilder
    from churn_mlops.inference.events.engine import Row

_TOLERANCE: Final = 1e-9


def compile_program(settings: Settings, log: EventLog, builder: SnapshotBuilder) -> EventProgram:
    """Compile the features that a builder builds.

    Args:
        settings: the configuration.
        log: the checked log.
        builder: what builds the snapshots that are learnt from.

    Raises:
        NotCompilable: the service could not compute one of them.
    """
    compiled = compile_snapshot(settings, log, builder.cells.types, builder.customers, builder.cancellations)
    return EventProgram(
        snapshot=COMPILED_SNAPSHOT,
        contract=_describe_contract(settings, builder.cells.types, log.columns),
        customer=_describe_customers(builder.customers),
        has_cancellations=builder.cancellations is not None,
        inputs=dict(compiled.inputs),
        steps=tuple(Step(table=step.table, columns=step.columns, sql=step.sql) for step in compiled.steps),
    )


def prove_program(
    program: EventProgram, builder: SnapshotBuilder, log: EventLog, snapshot: date, rows: Sequence[dict[str, Any]]
) -> None:
    """Compare the features of some customers with those that the engine computed.

    Args:
        program: what is proved.
        builder: of the snapshots.
        log: the checked log.
        snapshot: one of them.
        rows: of some customers at that snapshot, by column.

    Raises:
        NotCompilable: one of them differs, or SQLite refuses to compute it.
    """
    tables = _read_tables(builder, log, snapshot, [row[CUSTOMER] for row in rows])
    try:
        _compare(FeatureEngine(program), tables, rows)
    except sqlite3.Error as error:
        raise NotCompilable(f"SQLite refuses a query: {error}") from error


def _compare(queries: FeatureEngine, tables: dict[str, dict[Any, list[Row]]], rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        found = queries.compute({name: by_customer.get(row[CUSTOMER], []) for name, by_customer in tables.items()})
        if found is None:
            raise NotCompilable("SQLite finds a customer not at risk who is")
        for name, value in found.items():
            if not _are_equal(row[name], value):
                raise NotCompilable(f"SQLite gives {name} as {value!r} instead of {row[name]!r}")


def _describe_contract(settings: Settings, types: tuple[str, ...], columns: Sequence[str]) -> EventContract:
    events, churn = settings.data.events, settings.churn
    return EventContract(
        has_type=events.type is not None,
        types=tuple(kind for kind in types if kind != OTHER),
        has_amount=events.amount is not None,
        has_known_time=events.known_time is not None,
        attributes=events.attributes,
        time_zone=events.time_zone,
        earliest=events.earliest,
        nonnegative=events.nonnegative,
        identifying=_find_identifying(settings, columns),
        missing_values=settings.data.missing_values,
        active_types=churn.event_types,
        active_days=churn.active_days,
    )


def _find_identifying(settings: Settings, columns: Sequence[str]) -> tuple[str, ...] | None:
    """Name the fields in which events that are not the same must differ.

    None where the log tells them apart by its event ids, or by columns that a request does not have.
    """
    events = settings.data.events
    fields = {"time": events.time, "type": events.type, "amount": events.amount, "known_time": events.known_time}
    by_column = {column: field for field, column in fields.items() if column is not None}
    by_column |= dict.fromkeys(events.attributes, "attributes")
    identifying = [column for column in columns if column not in (events.customer, *events.not_identifying)]
    if events.event_id is not None or not set(identifying) <= set(by_column):
        return None
    return tuple(dict.fromkeys(by_column[column] for column in identifying))


def _describe_customers(customers: ir.Table | None) -> tuple[CustomerColumn, ...] | None:
    if customers is None:
        return None
    schema = customers.schema()
    return tuple(
        CustomerColumn(name=name, kind=_name_kind(name, kind))
        for name, kind in schema.items()
        if name not in ("customer", "known")
    )


def _name_kind(name: str, kind: dt.DataType) -> Any:
    if kind.is_boolean():
        return "boolean"
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    if kind.is_string() or kind.is_null():
        return "text"
    raise NotCompilable(f"data.customers.attributes names {name!r}, which holds {kind}; a request has none of that")


def _read_tables(
    builder: SnapshotBuilder, log: EventLog, snapshot: date, customers: Sequence[Any]
) -> dict[str, dict[Any, list[Row]]]:
    """Read the rows of some customers, as the service would make them of a request, by table and customer."""
    begin = midnight(snapshot)
    shift = midnight(COMPILED_SNAPSHOT) - begin
    sources = {EVENTS: log.events.filter(log.events.known < begin)}
    if builder.customers is not None:
        chosen = builder.settings.data.customers
        has_times = chosen is not None and chosen.known_time is not None
        latest = attributes_at(builder.customers, snapshot, has_times).rename(customer="attributes_of")
        sources[CUSTOMERS] = latest.mutate(known=ibis.literal(begin - 1)).relocate("customer", "known")
    if builder.cancellations is not None:
        sources[CANCELLATIONS] = builder.cancellations
    found: dict[str, dict[Any, list[Row]]] = {}
    for name, table in sources.items():
        by_customer: dict[Any, list[Row]] = {}
        for row in builder.engine.batches(table.filter(table.customer.isin(list(customers)))).read_all().to_pylist():
            moved = {column: row[column] + shift for column in ("at", "known") if row.get(column) is not None}
            values = tuple(_to_cell(value) for column, value in (row | moved).items() if column != "customer")
            by_customer.setdefault(row["customer"], []).append((THE_CUSTOMER, *values))
        found[name] = by_customer
    return found


def _to_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value if value is None or isinstance(value, int | float | str) else float(value)


def _are_equal(expected: Any, found: Any) -> bool:
    if expected is None or found is None or isinstance(expected, str):
        return bool(expected == found)
    return math.isclose(float(expected), float(found), rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
