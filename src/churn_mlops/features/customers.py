"""Reads the tables beside an event log: attributes of customers, as they were known when, and cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import find_column, midnight, read_customer
from churn_mlops.data.events.reading import open_table
from churn_mlops.errors import DataError
from churn_mlops.features.naming import refuse_taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import CancellationsSettings, CustomersSettings, DataSettings
    from churn_mlops.data.events.engine import Engine


Tell: TypeAlias = "Callable[[str, str], None]"
"""Is told the key of the configuration that names a table, and what of it cannot be used."""


def read_customers(engine: Engine, settings: DataSettings, tell: Tell = lambda *_: None) -> ir.Table | None:
    """Read customer, known (int64 microseconds; missing where the table does not say) and the attributes as they are.

    None where the configuration names no such table.

    Args:
        engine: that reads it.
        settings: where it is and what its columns mean.
        tell: told how many rows cannot be used, where some cannot: nobody knows whose, or since when that was known.

    Raises:
        DataError: the table cannot be read, lacks a column, has rows of which none can be used, or an attribute has the
            name of one of the other two.
    """
    chosen = settings.customers
    if chosen is None:
        return None
    refuse_taken("data.customers.attributes", chosen.attributes, ("customer", "known"))
    table = _Beside(engine, settings, chosen, "data.customers")
    attributes = {name: table.column(name, "attributes") for name in chosen.attributes}
    named, known, is_usable = {"customer": chosen.customer}, ibis.null(dt.int64), table.customer.notnull()
    if chosen.known_time is not None:
        named["known_time"] = chosen.known_time
        known = table.time(chosen.known_time, "known_time")
        is_usable = is_usable & known.notnull()
    table.check(is_usable, named, tell)
    read = table.raw.select(customer=table.customer, known=known, **attributes)
    # a row that became known nobody knows when tells that there is such a customer, and nothing else
    return read.filter(read.customer.notnull())


def read_cancellations(engine: Engine, settings: DataSettings, tell: Tell = lambda *_: None) -> ir.Table | None:
    """Read customer, at and known (int64 microseconds, known never before at); None where there is no such table.

    Args:
        engine: that reads it.
        settings: where it is and what its columns mean.
        tell: told how many cannot be used, where some cannot: nobody knows who, when, or since when that was known.

    Raises:
        DataError: the table cannot be read, lacks a column, or has rows of which none can be used.
    """
    chosen = settings.cancellations
    if chosen is None:
        return None
    table = _Beside(engine, settings, chosen, "data.cancellations")
    at = known = table.time(chosen.time, "time")
    named = {"customer": chosen.customer, "time": chosen.time}
    if chosen.known_time is not None:
        named["known_time"] = chosen.known_time
        told = table.time(chosen.known_time, "known_time")
        known = ibis.ifelse(told < at, at, told)  # missing where it cannot be read: `greatest` would take the other
    is_usable = table.customer.notnull() & at.notnull() & known.notnull()
    table.check(is_usable, named, tell)
    read = table.raw.select(customer=table.customer, at=at, known=known, is_usable=is_usable)
    return read.filter(read.is_usable).drop("is_usable")


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
    own = {f"attribute_{number}": seen[name] for number, name in enumerate(names)}
    ranked = seen.select("customer", place=ibis.row_number().over(group_by="customer", order_by=order), **own)
    latest = ranked.filter(ranked.place == 0)
    return latest.select(
        attributes_of=latest.customer, **{name: latest[f"attribute_{number}"] for number, name in enumerate(names)}
    )


class _Beside:
    """A table beside the log, and what its columns are read as; `key` of the configuration names it in messages."""

    def __init__(
        self, engine: Engine, settings: DataSettings, chosen: CustomersSettings | CancellationsSettings, key: str
    ) -> None:
        self.raw = open_table(engine, chosen, settings.delimiter, key)
        self._engine, self._zone, self._key, self._name = engine, settings.events.time_zone, key, chosen.name
        self.customer = read_customer(self.column(chosen.customer, "customer"))

    def column(self, name: str, key: str) -> Any:
        """Find a column that a key names."""
        return find_column({name: self.raw[name] for name in self.raw.columns}, name, f"{self._key}.{key}")

    def time(self, name: str, key: str) -> Any:
        """Read the column that a key names as microseconds."""
        return self._engine.read_time(self.column(name, key), self._zone)

    def check(self, is_usable: ir.BooleanValue, named: Mapping[str, str], tell: Tell) -> None:
        """Tell how many rows cannot be used, and what stands in the columns of one of them.

        Args:
            is_usable: whether a row is.
            named: the columns that decide about it, by their keys.
            tell: told, if there is such a row.

        Raises:
            DataError: none of the rows can be used.
        """
        texts = [self.column(name, key).cast(dt.string).fill_null("nothing") for key, name in named.items()]
        said = [ibis.literal(f"{name!r} ") + text for name, text in zip(named.values(), texts, strict=True)]
        seen = self.raw.select(said=ibis.literal(", ").join(said), is_usable=is_usable)
        counted = seen.aggregate(
            rows=seen.count(), unusable=(~seen.is_usable).sum(), odd=seen.said.max(where=~seen.is_usable)
        )
        (found,) = self._engine.batches(counted).read_all().to_pylist()
        if not found["unusable"]:
            return
        columns = ", ".join(map(repr, named.values()))
        why = f"{columns} should say who and when, as in 2024-05-31; one of them says {found['odd']}"
        if found["unusable"] == found["rows"]:
            raise DataError(f"{self._name} has no row that can be used among its {found['rows']:,}: {why}.")
        tell(self._key, f"{found['unusable']:,} of {found['rows']:,} cannot be used: {why}")
