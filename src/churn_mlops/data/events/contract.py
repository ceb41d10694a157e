"""Checks an event log inside the engine: which rows are events, which are rejected and why, which came twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.expressions import read_expression
from churn_mlops.data.events.reading import open_table
from churn_mlops.data.events.rejected import write_rejected
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import ibis.expr.types as ir
    import pandas as pd

    from churn_mlops.config.settings import DataSettings, EventsSettings
    from churn_mlops.data.events.engine import Engine

DAY_MICROSECONDS: Final = 86_400_000_000

MILLIONTHS: Final = 1_000_000
"""Amounts are whole millionths inside the engine: sums are then exact, so that no order of events, engine or number of
threads changes the last digit of a feature, by whose values a row is found again."""

LARGEST_AMOUNT: Final = 1e12

_NO_AMOUNT: Final = -(2**63)
"""Comes before every amount there can be."""

ONLY_TYPE: Final = "event"
"""The type of every event of a log that has no types."""

_MOST_TYPES: Final = 10_000
_REASON: Final = "_reason"
_PLACE: Final = "_place"
_KEY: Final = "_key"
_DUPLICATE: Final = "the row was written twice"


@dataclass(frozen=True)
class EventLog:
    """The events that can be used.

    Attributes:
        name: what the log is called in messages.
        events: customer (text or int64), at and known (int64, microseconds since 1970 in UTC; known is never before
            at), type (text), amount (int64, in millionths; may be missing) and the attributes (text) as attribute_0 and
            so on.
        type_counts: events by type, the most frequent first.
        first: time of the first event, microseconds.
        last: of the last one.
        rows_read: rows of the log.
        rejected: rows left out, by reason.
        rejects: the file that they were written to.
        is_late: whether events may have become known after they happened.
        has_amount: whether events have a column of amounts.
        columns: of the log as it was read.
    """

    name: str
    events: ir.Table
    type_counts: dict[str, int]
    first: int
    last: int
    rows_read: int
    rejected: dict[str, int]
    rejects: Path
    is_late: bool
    has_amount: bool
    columns: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say in a sentence what was read and what was rejected."""
        used = self.rows_read - sum(self.rejected.values())
        reasons = "; ".join(f"{count:,} because {reason}" for reason, count in self.rejected.items())
        return f"{self.rows_read:,} events read, {used:,} used" + (f"; rejected: {reasons}" if reasons else "")


def check_events(
    engine: Engine, settings: DataSettings, rejects: Path, known: ir.Table | None = None, now: datetime | None = None
) -> EventLog:
    """Check every row of the log that the configuration names.

    Args:
        engine: that does it.
        settings: where the log is and what its columns mean.
        rejects: the file that rejected rows are written to, with their reasons.
        known: a table whose column customer holds all customers there are; without it every customer is known.
        now: events after it are rejected; the present time without it.

    Raises:
        DataError: the log cannot be read, lacks a column, or has no event that can be used.
    """
    chosen = settings.events
    raw = open_table(engine, chosen, settings.delimiter, "data.events")
    marked = _mark(engine, raw, chosen, now or datetime.now(UTC))
    if known is not None:
        marked = _mark_unknown(engine, marked, known)
    totals, types = _count(engine, marked)
    accepted, rejected = totals[totals[_REASON].isna()], totals[totals[_REASON].notna()]
    if accepted.empty:
        reasons = "; ".join(f"{rows:,} because {reason}" for reason, rows in _pairs(rejected, _REASON))
        raise DataError(f"{chosen.name} has no event that can be used ({reasons or 'it has no rows'}).")
    usable = marked.filter(marked[_REASON].isnull())
    events, duplicates = _drop_duplicates(engine, usable, raw, chosen)
    counts = dict(_pairs(rejected, _REASON)) | duplicates.counts
    write_rejected(engine, rejects, _list_rejected(marked, raw, duplicates.rows, bool(len(rejected))))
    return EventLog(
        name=chosen.name,
        events=events.select(*_OWN, *(f"attribute_{place}" for place in range(len(chosen.attributes)))),
        type_counts=dict(_pairs(types, "type")),
        first=int(accepted["first"].min()),
        last=int(accepted["last"].max()),
        rows_read=int(totals["rows"].sum()),
        rejected=counts,
        rejects=rejects,
        is_late=chosen.known_time is not None,
        has_amount=chosen.amount is not None,
        columns=tuple(raw.columns),
    )


_OWN: Final = ("customer", "at", "known", "type", "amount")


@dataclass(frozen=True)
class _Duplicates:
    """Rows that were written more than once: how many are left out by reason, and those rows themselves, if any."""

    counts: dict[str, int]
    rows: ir.Table | None


def read_customer(column: ir.Value) -> ir.Value:
    """Read customer ids as trimmed text, or as int64 where they are whole numbers; missing where empty."""
    kind = column.type()
    if kind.is_integer():
        return column.cast(dt.int64)
    if kind.is_floating():  # how whole numbers are stored by those who had missing ones among them
        return ibis.ifelse(column == column.floor(), column.cast(dt.int64), ibis.null(dt.int64))
    return column.cast(dt.string).strip().nullif("")


def find_column(columns: dict[str, ir.Value], name: str, key: str) -> ir.Value:
    """Give a column by its name.

    Raises:
        MissingColumn: there is none.
    """
    if name not in columns:
        raise MissingColumn(key, name, list(columns))
    return columns[name]


def midnight(day: date) -> int:
    """Give the microseconds since 1970 at which a day begins, in UTC."""
    return (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days * DAY_MICROSECONDS


def _mark(engine: Engine, raw: ir.Table, chosen: EventsSettings, now: datetime) -> ir.Table:
    """Add to every row what it means as an event, and the reason why it is none."""
    columns: dict[str, ir.Value] = {name: raw[name] for name in raw.columns}
    for name, text in chosen.derive.items():
        columns[name] = read_expression(text, columns, f"data.events.derive.{name}")
    excluded = [(_read_condition(text, columns, name), name) for name, text in chosen.exclude.items()]
    customer = read_customer(find_column(columns, chosen.customer, "data.events.customer"))
    at = engine.read_time(find_column(columns, chosen.time, "data.events.time"), chosen.time_zone)
    known, late = at, []
    if chosen.known_time is not None:
        column = find_column(columns, chosen.known_time, "data.events.known_time")
        known = engine.read_time(column, chosen.time_zone)
        late = [
            (known.isnull(), f"{chosen.known_time!r} is no time"),
            (known > _microseconds(now), f"{chosen.known_time!r} is in the future"),
        ]
    kind = ibis.literal(ONLY_TYPE)
    if chosen.type is not None:
        kind = find_column(columns, chosen.type, "data.events.type").cast(dt.string).strip().nullif("")
    amount, wrong = _read_amount(columns, chosen, kind)
    nameless = []
    if chosen.event_id is not None:
        event_id = find_column(columns, chosen.event_id, "data.events.event_id").cast(dt.string).strip().nullif("")
        nameless = [(event_id.isnull(), f"{chosen.event_id!r} is missing")]
    reason = ibis.cases(
        *excluded,
        (customer.isnull(), f"{chosen.customer!r} is missing"),
        (at.isnull(), f"{chosen.time!r} is no time"),
        (at < midnight(chosen.earliest), f"{chosen.time!r} is before data.events.earliest"),
        (at > _microseconds(now), f"{chosen.time!r} is in the future"),
        *late,
        (kind.isnull(), f"{chosen.type!r} is missing"),
        *nameless,
        *wrong,
        else_=ibis.null(dt.string),
    )
    attributes = {
        f"attribute_{place}": find_column(columns, name, "data.events.attributes").cast(dt.string).strip().nullif("")
        for place, name in enumerate(chosen.attributes)
    }
    return raw.select(
        **{f"raw_{place}": raw[name] for place, name in enumerate(raw.columns)},
        customer=customer,
        at=at,
        known=ibis.greatest(known, at),
        type=kind,
        amount=amount,
        **attributes,
        **{_KEY: _identify(engine, columns, raw, chosen), _REASON: reason},
    )


def _read_condition(text: str, columns: dict[str, ir.Value], name: str) -> ir.Value:
    condition = read_expression(text, columns, f"data.events.exclude.{name}")
    if not condition.type().is_boolean():
        raise DataError(f"data.events.exclude.{name} is {text!r}, which is neither true nor false of a row.")
    return condition.fill_null(False)


def _identify(engine: Engine, columns: dict[str, ir.Value], raw: ir.Table, chosen: EventsSettings) -> ir.Value:
    """Hash what makes a row the same event as another: its event id, or all that it holds."""
    if chosen.event_id is not None:
        return engine.hash_rows([raw[raw.columns[_place_of_id(raw, chosen.event_id)]]])
    for name in chosen.not_identifying:
        find_column(columns, name, "data.events.not_identifying")
    return engine.hash_rows([raw[name] for name in raw.columns if name not in chosen.not_identifying])


def _read_amount(
    columns: dict[str, ir.Value], chosen: EventsSettings, kind: ir.Value
) -> tuple[ir.Value, list[tuple[ir.Value, str]]]:
    """Read amounts, and say when one stands against its row."""
    if chosen.amount is None:
        return ibis.null(dt.int64), []
    column = find_column(columns, chosen.amount, "data.events.amount")
    held = column.type()
    if held.is_temporal() or held.is_nested():
        raise DataError(f"data.events.amount names the column {chosen.amount!r}, which holds {held}; it needs numbers.")
    amount = column
    if column.type().is_string():
        column = column.strip().nullif("")
        amount = column.try_cast(dt.float64)
    amount = amount.cast(dt.float64)
    usable = (~amount.isnan() & (amount.abs() <= LARGEST_AMOUNT)).fill_null(False)
    wrong = [(column.notnull() & ~usable, f"{chosen.amount!r} is no number up to {LARGEST_AMOUNT:,.0f}")]
    if chosen.nonnegative:
        forbidden = ibis.literal(True) if "*" in chosen.nonnegative else kind.isin(chosen.nonnegative)
        wrong.append(((amount < 0) & forbidden, f"{chosen.amount!r} is negative"))
    return (ibis.ifelse(usable, amount, ibis.null(dt.float64)) * MILLIONTHS).round().cast(dt.int64), wrong


def _mark_unknown(engine: Engine, marked: ir.Table, known: ir.Table) -> ir.Table:
    """Reject events of customers who are not among those there are."""
    there = known.select(known_customer=_like(engine, known.customer, marked.customer.type())).distinct()
    joined = marked.left_join(there, marked.customer == there.known_customer)
    unknown = ibis.ifelse(joined.known_customer.isnull(), "the customer is not in data.customers", ibis.null(dt.string))
    return joined.mutate(**{_REASON: ibis.coalesce(joined[_REASON], unknown)}).drop("known_customer")


def _like(engine: Engine, customer: ir.Value, kind: dt.DataType) -> ir.Value:
    """Read the ids of a table beside the log as those in the log are.

    Raises:
        DataError: one is a text, and those of the log are whole numbers.
    """
    read = customer.try_cast(kind)
    table = customer.as_table()
    odd = engine.batches(table.filter(read.isnull()).limit(1)).read_all()[0].to_pylist()
    if odd:
        raise DataError(f"data.customers has the customer {odd[0]!r}, and in the log customers are whole numbers.")
    return read


def _count(engine: Engine, marked: ir.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the rows by reason (missing: none), with the first and last time; and the usable ones by frequent type."""
    groups = engine.keep(
        marked.group_by(_REASON, "type").agg(rows=marked.count(), first=marked["at"].min(), last=marked["at"].max())
    )
    totals = groups.group_by(_REASON).agg(
        rows=groups.rows.sum(), first=groups["first"].min(), last=groups["last"].max()
    )
    usable = groups.filter(groups[_REASON].isnull())
    types = usable.order_by([usable.rows.desc(), usable.type]).limit(_MOST_TYPES)
    by_reason, by_type = (engine.batches(table).read_all().to_pandas() for table in (totals, types))
    return (
        by_reason.sort_values(["rows", _REASON], ascending=[False, True], ignore_index=True),
        by_type.sort_values(["rows", "type"], ascending=[False, True], ignore_index=True),
    )


def _pairs(counted: pd.DataFrame, column: str) -> list[tuple[str, int]]:
    return [(str(what), int(rows)) for what, rows in zip(counted[column], counted["rows"], strict=True)]


def _drop_duplicates(
    engine: Engine, usable: ir.Table, raw: ir.Table, chosen: EventsSettings
) -> tuple[ir.Table, _Duplicates]:
    """Keep one of the rows that are one event.

    Only hashes are compared over the whole log; the few rows whose hash occurs again are then compared by what they
    hold, so that two events are never taken for one because their hashes are equal.
    """
    keys = usable.group_by(_KEY).agg(rows=usable.count())
    again = keys.filter(keys.rows > 1).select(_KEY)
    again = engine.keep(again)
    if engine.count(again) == 0:
        return usable, _Duplicates({}, None)
    same = [f"raw_{place}" for place, name in enumerate(raw.columns) if name not in chosen.not_identifying]
    by = same if chosen.event_id is None else [f"raw_{_place_of_id(raw, chosen.event_id)}"]
    repeated = usable.semi_join(again, _KEY)
    # to the last column, so that neither the order of rows nor the engine has a say in which of them is kept
    order_by = [repeated.known, repeated["at"], repeated.type, repeated.customer, repeated.amount.fill_null(_NO_AMOUNT)]
    order_by += [repeated[name].fill_null("") for name in repeated.columns if name.startswith("attribute_")]
    order = ibis.window(group_by=by, order_by=order_by)
    ranked = engine.keep(repeated.mutate(**{_PLACE: ibis.row_number().over(order)}))
    kept = ranked.filter(ranked[_PLACE] == 0).drop(_PLACE)
    reason = _DUPLICATE if chosen.event_id is None else f"{chosen.event_id!r} occurred before"
    left = ranked.filter(ranked[_PLACE] > 0)
    number = engine.count(left)
    events = usable.anti_join(again, _KEY).union(kept)
    return events, _Duplicates({reason: number} if number else {}, left.mutate(**{_REASON: ibis.literal(reason)}))


def _place_of_id(raw: ir.Table, event_id: str) -> int:
    if event_id not in raw.columns:
        raise DataError(
            f"data.events.event_id is {event_id!r}; it should be a column of the log itself, not a derived one."
        )
    return int(raw.columns.index(event_id))


def _list_rejected(
    marked: ir.Table, raw: ir.Table, duplicates: ir.Table | None, any_rejected: bool
) -> Sequence[ir.Table]:
    tables = [marked.filter(marked[_REASON].notnull())] if any_rejected else []
    tables += [] if duplicates is None else [duplicates]

    def show(table: ir.Table) -> ir.Table:
        own = {name: table[f"raw_{place}"].cast(dt.string) for place, name in enumerate(raw.columns)}
        return table.select(table[_REASON].name("reason"), **own)

    return [show(table) for table in tables]


def _microseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000)
