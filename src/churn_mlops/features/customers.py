"""Reads the tables beside an event log: attributes of customers, as they were known when, and cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import find_column, midnight, read_customer
from churn_mlops.data.events.reading import open_table

if TYPE_CHECKING:
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import DataSettings
    from churn_mlops.data.events.engine import Engine


def read_customers(engine: Engine, settings: DataSettings) -> ir.Table | None:
    """Read customer, known (int64 microseconds; missing where the table does not say) and the attributes as they are.

    None where the configuration names no such table.
    """
    chosen = settings.customers
    if chosen is None:
        return None
    raw = open_table(engine, chosen, settings.delimiter, "data.customers")
    columns: dict[str, Any] = {name: raw[name] for name in raw.columns}
    customer = read_customer(find_column(columns, chosen.customer, "data.customers.customer"))
    known: Any = ibis.null(dt.int64)
    if chosen.known_time is not None:
        column = find_column(columns, chosen.known_time, "data.customers.known_time")
        known = engine.read_time(column, settings.events.time_zone)
    attributes = {name: find_column(columns, name, "data.customers.attributes") for name in chosen.attributes}
    table = raw.select(customer=customer, known=known, **attributes)
    return table.filter(table.customer.notnull())


def read_cancellations(engine: Engine, settings: DataSettings) -> ir.Table | None:
    """Read customer, at and known (int64 microseconds, known never before at); None where there is no such table."""
    chosen = settings.cancellations
    if chosen is None:
        return None
    raw = open_table(engine, chosen, settings.delimiter, "data.cancellations")
    columns: dict[str, Any] = {name: raw[name] for name in raw.columns}
    customer = read_customer(find_column(columns, chosen.customer, "data.cancellations.customer"))
    at = engine.read_time(find_column(columns, chosen.time, "data.cancellations.time"), settings.events.time_zone)
    known = at
    if chosen.known_time is not None:
        column = find_column(columns, chosen.known_time, "data.cancellations.known_time")
        known = ibis.greatest(engine.read_time(column, settings.events.time_zone), at)
    table = raw.select(customer=customer, at=at, known=known)
    return table.filter(table.customer.notnull() & table["at"].notnull() & table.known.notnull())


def attributes_at(customers: ir.Table, snapshot: date, has_times: bool) -> ir.Table:
    """Give each customer's attributes as known before a snapshot: of several rows, the one that became known last.

    Args:
        customers: as `read_customers` gives them.
        snapshot: rows that became known from then on are not seen.
        has_times: whether the table says when a row became known; without, the attributes are taken as known always.

    Returns:
        attributes_of (the customer) and the attributes.
    """
    names = [name for name in customers.columns if name not in ("customer", "known")]
    seen = customers.filter(customers.known < midnight(snapshot)) if has_times else customers
    # of rows of the same time the greatest: whichever it is, it is the same on every engine
    order = [seen.known.fill_null(0).desc(), *(seen[name].cast(dt.string).fill_null("").desc() for name in names)]
    ranked = seen.mutate(place=ibis.row_number().over(group_by="customer", order_by=order))
    latest = ranked.filter(ranked.place == 0)
    return latest.select(attributes_of=latest.customer, **{name: latest[name] for name in names})
