"""Says what each row of a log means as an event, and what can be wrong with it, as expressions of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.expressions import read_expression
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import EventsSettings
    from churn_mlops.data.events.engine import Engine

DAY_MICROSECONDS: Final = 86_400_000_000

MILLIONTHS: Final = 1_000_000
"""Amounts are whole millionths inside the engine: sums are then exact, so that no order of events, engine or number of
threads changes the last digit of a feature, by whose values a row is found again."""

LARGEST_AMOUNT: Final = 1e12

ONLY_TYPE: Final = "event"
"""The type of every event of a log that has no types."""

_FIRST_AFTER_BLANKS: Final = "!"
"""The first character of Unicode that is printed; the blanks that texts may have around them come before it."""

CUSTOMER: Final = "customer"
TYPE: Final = "type"


@dataclass(frozen=True)
class Fault:
    """Something that makes a row no event.

    Attributes:
        reason: what is said of such a row.
        applies: whether a row has it; never missing.
        of: `CUSTOMER` or `TYPE` where that alone decides it.
    """

    reason: str
    applies: ir.BooleanValue
    of: str | None = None


@dataclass(frozen=True)
class Meaning:
    """What the rows of a log mean.

    Attributes:
        customer: as it is written.
        at: int64, microseconds since 1970.
        known: likewise, never before at.
        type: text, as it is written.
        amount: int64, in millionths; may be missing.
        attributes: text, by the names that events have them under.
        key: a hash of what makes a row the same event as another.
        faults: of a row that has several the first is its reason.
    """

    customer: ir.Value
    at: ir.IntegerValue
    known: ir.IntegerValue
    type: ir.StringValue
    amount: ir.IntegerValue
    attributes: dict[str, ir.StringValue]
    key: ir.IntegerValue
    faults: tuple[Fault, ...]

    def read_event(self, as_written: bool = False) -> dict[str, ir.Value]:
        """Give the columns of an event: customer, at, known, type, amount and attributes.

        Args:
            as_written: customers and types are known to have no blanks around them.
        """
        is_text = self.customer.type().is_string()
        return {
            CUSTOMER: self.customer if as_written and is_text else read_customer(self.customer),
            "at": self.at,
            "known": self.known,
            TYPE: self.type if as_written else read_text(self.type),
            "amount": self.amount,
            **self.attributes,
        }

    def find_reason(self, places: Collection[int]) -> ir.StringValue:
        """Give the reason why a row is no event, missing where it is one, of the faults at some places alone."""
        cases = [
            (fault.applies, ibis.literal(fault.reason)) for place, fault in enumerate(self.faults) if place in places
        ]
        return ibis.cases(*cases, else_=ibis.null(dt.string)) if cases else ibis.null(dt.string)

    def find_row_fault(self) -> ir.IntegerValue:
        """Give the place of the first fault that neither customer nor type alone decides; without one, their number."""
        cases = [(fault.applies, _place(place)) for place, fault in enumerate(self.faults) if fault.of is None]
        return ibis.cases(*cases, else_=_place(len(self.faults)))

    def find_place(self, of: str) -> int:
        """Give the place of the fault that the customer or the type alone decides."""
        return next(place for place, fault in enumerate(self.faults) if fault.of == of)


def read_rows(engine: Engine, raw: ir.Table, chosen: EventsSettings, now: datetime) -> Meaning:
    """Say what rows mean.

    Args:
        engine: that they are of.
        raw: some or all rows of the log.
        chosen: what its columns mean.
        now: what is later is in the future.

    Raises:
        DataError: a column is missing, or an expression of the configuration is none.
    """
    columns: dict[str, ir.Value] = {name: raw[name] for name in raw.columns}
    for name, text in chosen.derive.items():
        columns[name] = read_expression(text, columns, f"data.events.derive.{name}")
    customer = find_column(columns, chosen.customer, "data.events.customer")
    at = engine.read_time(find_column(columns, chosen.time, "data.events.time"), chosen.time_zone)
    known = None
    if chosen.known_time is not None:
        column = find_column(columns, chosen.known_time, "data.events.known_time")
        known = engine.read_time(column, chosen.time_zone)
    kind = ibis.literal(ONLY_TYPE)
    if chosen.type is not None:
        kind = find_column(columns, chosen.type, "data.events.type").cast(dt.string)
    amount, wrong = _read_amount(columns, chosen, kind)
    return Meaning(
        customer=customer,
        at=at,
        known=at if known is None else ibis.greatest(known, at),
        type=kind,
        amount=amount,
        attributes={
            f"attribute_{place}": read_text(find_column(columns, name, "data.events.attributes"))
            for place, name in enumerate(chosen.attributes)
        },
        key=_identify(engine, columns, raw, chosen),
        faults=(
            *_find_excluded(columns, chosen),
            Fault(f"{chosen.customer!r} is missing", read_customer(customer).isnull(), CUSTOMER),
            *_find_wrong_times(at, known, chosen, now),
            Fault(f"{chosen.type!r} is missing", read_text(kind).isnull(), TYPE),
            *_find_nameless(columns, chosen),
            *wrong,
        ),
    )


def read_customer(column: ir.Value) -> ir.Value:
    """Read customer ids as trimmed text, or as int64 where they are whole numbers; missing where empty."""
    kind = column.type()
    if kind.is_integer():
        return column.cast(dt.int64)
    if kind.is_floating():  # how whole numbers are stored by those who had missing ones among them
        whole = column.try_cast(dt.int64)
        return ibis.ifelse(whole.cast(dt.float64) == column, whole, ibis.null(dt.int64))
    return read_text(column)


def match_customers(engine: Engine, customer: ir.Value, kind: dt.DataType, key: str) -> ir.Value:
    """Read the customers of a table beside the log as those of the log are.

    Args:
        engine: that looks for the ones that cannot be.
        customer: as `read_customer` gives them, without missing ones.
        kind: of the log's customers.
        key: the key of the configuration that names the table, for messages.

    Raises:
        DataError: one is a text, and those of the log are whole numbers.
    """
    if not (customer.type().is_string() and kind.is_integer()):  # no other cast can fail
        return customer.cast(kind)
    read = customer.try_cast(kind)
    odd = engine.batches(customer.as_table().filter(read.isnull()).limit(1)).read_all()[0].to_pylist()
    if odd:
        raise DataError(f"{key} has the customer {odd[0]!r}, and in the log customers are whole numbers.")
    return read


def read_text(column: ir.Value) -> ir.StringValue:
    """Read text without the blanks around it; missing where empty."""
    return column.cast(dt.string).strip().nullif("")


def _is_blank(column: ir.Value) -> ir.BooleanValue:
    """Say whether there is nothing but blanks; they are only taken off where one comes first, as that takes long."""
    if not column.type().is_string():
        return column.isnull()
    return column.isnull() | ((column < _FIRST_AFTER_BLANKS) & (column.strip() == ""))


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


def to_date(microseconds: int) -> date:
    """Give the day, in UTC, of a time in microseconds since 1970."""
    return datetime.fromtimestamp(microseconds // DAY_MICROSECONDS * 86_400, UTC).date()


def find_free_name(name: str, taken: Iterable[str]) -> str:
    """Put underscores before a name of a column until there is none of it; engines do not mind case."""
    folded = {other.casefold() for other in taken}
    while name.casefold() in folded:
        name = f"_{name}"
    return name


def find_event_id(raw: ir.Table, event_id: str) -> int:
    """Give the place of the column that names events.

    Raises:
        DataError: the log itself has none of that name.
    """
    if event_id not in raw.columns:
        raise DataError(
            f"data.events.event_id is {event_id!r}; it should be a column of the log itself, not a derived one."
        )
    return int(raw.columns.index(event_id))


def _find_excluded(columns: dict[str, ir.Value], chosen: EventsSettings) -> Iterator[Fault]:
    for name, text in chosen.exclude.items():
        condition = read_expression(text, columns, f"data.events.exclude.{name}")
        if not condition.type().is_boolean():
            raise DataError(f"data.events.exclude.{name} is {text!r}, which is neither true nor false of a row.")
        yield Fault(name, condition.fill_null(False))


def _find_nameless(columns: dict[str, ir.Value], chosen: EventsSettings) -> Iterator[Fault]:
    if chosen.event_id is not None:
        event_id = find_column(columns, chosen.event_id, "data.events.event_id")
        yield Fault(f"{chosen.event_id!r} is missing", _is_blank(event_id))


def _find_wrong_times(
    at: ir.IntegerValue, known: ir.IntegerValue | None, chosen: EventsSettings, now: datetime
) -> Iterator[Fault]:
    latest = int(now.timestamp() * 1_000_000)
    yield Fault(f"{chosen.time!r} is no time", at.isnull())
    yield Fault(f"{chosen.time!r} is before data.events.earliest", (at < midnight(chosen.earliest)).fill_null(False))
    yield Fault(f"{chosen.time!r} is in the future", (at > latest).fill_null(False))
    if known is not None:
        yield Fault(f"{chosen.known_time!r} is no time", known.isnull())
        yield Fault(f"{chosen.known_time!r} is in the future", (known > latest).fill_null(False))


def _identify(engine: Engine, columns: dict[str, ir.Value], raw: ir.Table, chosen: EventsSettings) -> ir.Value:
    """Hash what makes a row the same event as another: its event id, or all that it holds."""
    if chosen.event_id is not None:
        return engine.hash_rows([raw[raw.columns[find_event_id(raw, chosen.event_id)]]])
    for name in chosen.not_identifying:
        find_column(columns, name, "data.events.not_identifying")
    return engine.hash_rows([raw[name] for name in raw.columns if name not in chosen.not_identifying])


def _read_amount(columns: dict[str, ir.Value], chosen: EventsSettings, kind: ir.Value) -> tuple[ir.Value, list[Fault]]:
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
    wrong = [Fault(f"{chosen.amount!r} is no number up to {LARGEST_AMOUNT:,.0f}", column.notnull() & ~usable)]
    if chosen.nonnegative:
        forbidden = ibis.literal(True) if "*" in chosen.nonnegative else read_text(kind).isin(chosen.nonnegative)
        wrong.append(Fault(f"{chosen.amount!r} is negative", ((amount < 0) & forbidden).fill_null(False)))
    return (ibis.ifelse(usable, amount, ibis.null(dt.float64)) * MILLIONTHS).round().cast(dt.int64), wrong


def _place(place: int) -> ir.IntegerScalar:
    return ibis.literal(place, dt.int32)
