"""Takes one customer's events as the log's own check would: which can be used, which are dropped and why."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from churn_mlops.inference.events.engine import Cell, Row
    from churn_mlops.inference.events.program import EventContract, EventProgram

# these are data.events.meaning's as well, which would bring Ibis into the API
ONLY_TYPE: Final = "event"
"""The type of every event of a log that has no types."""

CUSTOMER: Final = 0
"""What the one customer is called in the tables."""

_MILLIONTHS: Final = 1_000_000  # as there
_LARGEST_AMOUNT: Final = 1e12  # as there
_BEYOND_WHOLE: Final = 2**63  # the first whole number that SQLite cannot hold
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TakenEvents:
    """What became of a customer's events.

    Attributes:
        rows: of the table of events.
        received: how many there were.
        dropped: how many were left out, by reason.
        other_types: types of those that are used which have no features of their own, sorted.
    """

    rows: list[Row]
    received: int
    dropped: dict[str, int]
    other_types: list[str]


@dataclass(frozen=True)
class EventTaker:
    """Makes rows of the tables that a program begins with.

    Attributes:
        program: whose.
    """

    program: EventProgram

    def take(self, events: Sequence[Mapping[str, Any]], as_of: date, now: datetime) -> TakenEvents:
        """Take the events that can be used and were known before a day.

        Args:
            events: time (datetime) and, each where the log had it, type, amount, known_time, event_id and attributes.
            as_of: features look back from the midnight, in UTC, with which this day begins.
            now: events after it cannot have happened.
        """
        dropped: Counter[str] = Counter()
        usable = self._drop_unusable(events, _microseconds(now, UTC), dropped)
        once = self._drop_repeated(usable, dropped)
        begin = midnight(as_of)
        shift = midnight(self.program.snapshot) - begin
        rows: list[Row] = []
        for event in once:
            if event.known >= begin:
                dropped[f"it was not known before {as_of}"] += 1
                continue
            known, at = event.known + shift, event.at + shift
            rows.append((CUSTOMER, at, known, event.type, event.amount, *event.attributes))
        other = {str(row[3]) for row in rows}.difference(self._contract.types)
        return TakenEvents(rows, len(events), dict(dropped), sorted(other))

    def take_cancellations(self, cancellations: Iterable[Mapping[str, Any]], as_of: date) -> list[Row]:
        """Take when the customer cancelled: time and, perhaps, known_time (datetimes)."""
        shift = midnight(self.program.snapshot) - midnight(as_of)
        rows: list[Row] = []
        for one in cancellations:
            at = _microseconds(one["time"], self._zone)
            known = _microseconds(one.get("known_time") or one["time"], self._zone)
            rows.append((CUSTOMER, at + shift, max(known, at) + shift))
        return rows

    def take_customer(self, attributes: Mapping[str, Any]) -> list[Row]:
        """Take the customer's attributes, as they were known before the day: one row."""
        columns = self.program.customer or ()
        values = {column.name: _CASTS[column.kind](attributes.get(column.name)) for column in columns}
        known = midnight(self.program.snapshot) - 1
        return [(CUSTOMER, known, *(values[name] for name in self.program.inputs["customers"][2:]))]

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._contract.time_zone)

    @property
    def _contract(self) -> EventContract:
        return self.program.contract

    def _drop_unusable(self, events: Sequence[Mapping[str, Any]], now: int, dropped: Counter[str]) -> list[_Event]:
        contract, zone = self._contract, self._zone
        earliest = midnight(contract.earliest)
        usable = []
        for place, event in enumerate(events):
            at = _microseconds(event["time"], zone)
            said = event.get("known_time")
            known = at if said is None else _microseconds(said, zone)
            kind = event["type"].strip() if contract.has_type else ONLY_TYPE
            amount = event.get("amount")
            if at < earliest:
                dropped["'time' is before data.events.earliest"] += 1
            elif at > now:
                dropped["'time' is in the future"] += 1
            elif known > now:
                dropped["'known_time' is in the future"] += 1
            elif not kind:
                dropped["'type' is missing"] += 1
            elif amount is not None and abs(amount) > _LARGEST_AMOUNT:
                dropped[f"'amount' is no number up to {_LARGEST_AMOUNT:,.0f}"] += 1
            elif amount is not None and amount < 0 and self._must_not_be_negative(kind):
                dropped["'amount' is negative"] += 1
            else:
                values = event.get("attributes") or {}
                attributes = tuple(_write_text(values.get(name)) for name in contract.attributes)
                usable.append(
                    _Event(place, at, max(known, at), kind, _to_millionths(amount), attributes, event.get("event_id"))
                )
        return usable

    def _must_not_be_negative(self, kind: str) -> bool:
        return "*" in self._contract.nonnegative or kind in self._contract.nonnegative

    def _drop_repeated(self, events: list[_Event], dropped: Counter[str]) -> list[_Event]:
        """Keep of the events that are one the first that was known; their order stays."""
        fields = self._contract.identifying
        first: dict[object, _Event] = {}
        for event in events:
            if event.event_id is not None:
                key: object = ("id", event.event_id)
            elif fields is not None:
                key = tuple(getattr(event, _FIELDS[name]) for name in fields)
            else:
                key = event.place
            other = first.get(key)
            if other is None:
                first[key] = event
                continue
            dropped["'event_id' occurred before" if event.event_id is not None else "the event was written twice"] += 1
            first[key] = min(other, event, key=_rank)
        return list(first.values())


class _Event(NamedTuple):
    """An event that can be used; there may be thousands in a request."""

    place: int
    at: int
    known: int
    type: str
    amount: int | None
    attributes: tuple[str | None, ...]
    event_id: str | int | None


def _rank(event: _Event) -> tuple[object, ...]:
    """Say which of events that are one comes first, to the last field, as the log's check does."""
    amount = (event.amount is not None, event.amount or 0)
    return event.known, event.at, event.type, amount, tuple(value or "" for value in event.attributes)


_FIELDS: Final = {"time": "at", "known_time": "known", "type": "type", "amount": "amount", "attributes": "attributes"}
"""Where a field that identifies an event is kept."""


def midnight(day: date) -> int:
    """Give the microseconds since 1970 at which a day begins, in UTC."""
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def _microseconds(time: datetime, zone: ZoneInfo | Any) -> int:
    return ((time if time.tzinfo else time.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND


def _to_millionths(amount: float | None) -> int | None:
    """Round to whole millionths, halves away from zero, as the engines do."""
    if amount is None:
        return None
    scaled = float(amount) * _MILLIONTHS
    whole = math.trunc(scaled)
    return whole + (0 if abs(scaled - whole) < 0.5 else int(math.copysign(1, scaled)))


def _write_text(value: Any) -> str | None:
    """Write an attribute's value as text, as logs have it; missing where it is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value).strip() or None


def _to_number(value: Any) -> Cell:
    try:
        return None if value is None else float(value)
    except (ValueError, OverflowError):
        return None


def _to_whole(value: Any) -> Cell:
    """Read a whole number as it is, where the engine can hold it; others as `_to_number` does."""
    try:
        number = int(value) if isinstance(value, int | str) else _to_number(value)
    except ValueError:
        number = _to_number(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int) and not -_BEYOND_WHOLE <= number < _BEYOND_WHOLE:
        return _to_number(number)
    return number


_CASTS: Final[dict[str, Callable[[Any], Cell]]] = {
    "text": _write_text,
    "integer": _to_whole,
    "number": _to_number,
    "boolean": lambda value: None if value is None else int(bool(value)),
}
"""From an attribute of a customer to what the engine had of it."""
