"""Checks an event log inside the engine: which rows are events, which are rejected and why, which came twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.meaning import (
    CUSTOMER,
    DAY_MICROSECONDS,
    MILLIONTHS,
    TYPE,
    find_column,
    find_event_id,
    find_free_name,
    match_customers,
    midnight,
    read_customer,
    read_rows,
    read_text,
)
from churn_mlops.data.events.reading import open_log
from churn_mlops.data.events.rejected import write_rejected
from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from churn_mlops.config.settings import DataSettings, EventsSettings
    from churn_mlops.data.events.engine import Engine
    from churn_mlops.data.events.meaning import Meaning

__all__ = ["DAY_MICROSECONDS", "MILLIONTHS", "EventLog", "check_events", "find_column", "midnight", "read_customer"]

_MOST_TYPES: Final = 10_000
_REASON: Final = "_reason"
_PLACE: Final = "_place"
_KEY: Final = "_key"
_DUPLICATE: Final = "the row was written twice"
_NO_AMOUNT: Final = -(2**63)
"""Comes before every amount there can be."""
_MALFORMED: Final = "the line is no row of the table"
_UNKNOWN: Final = "the customer is not in data.customers"


@dataclass(frozen=True)
class EventLog:
    """The events that can be used.

    Attributes:
        name: what the log is called in messages.
        events: customer (text or int64), at and known (int64, microseconds since 1970 in UTC; known is never before
            at), type (text), amount (int64, in millionths; may be missing) and the attributes (text) as attribute_0 and
            so on.
        type_counts: accepted rows by type, repeated ones among them, the most frequent 10,000.
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

    @property
    def rows_used(self) -> int:
        """How many rows are events, each once."""
        return self.rows_read - sum(self.rejected.values())

    def describe(self) -> str:
        """Say in a sentence what was read and what was rejected."""
        reasons = "; ".join(f"{count:,} because {reason}" for reason, count in self.rejected.items())
        rejected = f"; rejected: {reasons}" if reasons else ""
        return f"{self.rows_read:,} events read, {self.rows_used:,} used{rejected}"


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
        DataError: the log cannot be read, lacks a column, or has no event that can be used; why is then written too.
    """
    chosen = settings.events
    raw, malformed = open_log(engine, chosen, settings.delimiter, "data.events")
    rows = _Rows(engine, raw, chosen, now, known)
    counts = rows.count()
    left_out = [rows.select_rejected(counts)] if counts.rejected else []
    if malformed is not None:
        left_out.append(rows.show_lines(malformed))
        counts = counts.with_lines(engine.count(malformed))
    if not counts.types:
        raise _refuse(engine, chosen.name, counts, rejects, left_out)
    duplicates = _find_duplicates(rows, counts)
    write_rejected(engine, rejects, left_out if duplicates is None else [*left_out, rows.show(duplicates.left)])
    events = rows.select_events(counts)
    if duplicates is not None:
        events = events.anti_join(duplicates.keys, _KEY).drop(_KEY).union(duplicates.kept.select(*events.columns[:-1]))
    else:
        events = events.drop(_KEY)
    return EventLog(
        name=chosen.name,
        events=events,
        type_counts=counts.types,
        first=counts.first,
        last=counts.last,
        rows_read=counts.rows,
        rejected=counts.rejected if duplicates is None else counts.rejected | duplicates.counts,
        rejects=rejects,
        is_late=chosen.known_time is not None,
        has_amount=chosen.amount is not None,
        columns=tuple(rows.raw.columns),
    )


def _refuse(engine: Engine, name: str, counts: _Counts, rejects: Path, left_out: Sequence[ir.Table]) -> DataError:
    """Write the rows of a log without events, if it has any, and say what is wrong with them."""
    if not counts.rejected:
        return DataError(f"{name} has no event that can be used (it has no rows).")
    write_rejected(engine, rejects, left_out)
    reasons = "; ".join(f"{number:,} because {reason}" for reason, number in counts.rejected.items())
    return DataError(f"{name} has no event that can be used ({reasons}). They are in {rejects}.")


@dataclass(frozen=True)
class _Counts:
    """What was found in one look at all rows.

    Attributes:
        rows: how many there are.
        rejected: how many were rejected, by reason, the most frequent first.
        faults: the places of the faults that occur.
        has_unknown: whether there are customers who are not among those there are.
        types: accepted rows by type, the most frequent first.
        usable: all accepted rows.
        first: time of the first accepted row, microseconds.
        last: of the last one.
        as_written: whether no customer and no type of an accepted row has blanks around it.
    """

    rows: int
    rejected: dict[str, int]
    faults: frozenset[int]
    has_unknown: bool
    types: dict[str, int]
    usable: int
    first: int
    last: int
    as_written: bool

    def with_lines(self, number: int) -> _Counts:
        """Count lines that are no rows, too."""
        return replace(self, rows=self.rows + number, rejected=_by_number(self.rejected | {_MALFORMED: number}))


@dataclass(frozen=True)
class _Duplicates:
    """Rows that were written more than once.

    Attributes:
        keys: the keys of those rows.
        kept: the ones that count.
        left: the ones that are left out.
        counts: how many are left out, by reason.
    """

    keys: ir.Table
    kept: ir.Table
    left: ir.Table
    counts: dict[str, int]


@dataclass(frozen=True)
class _Rows:
    """The rows of a log, and what they mean.

    What decides whether a row is an event is looked at once, for all rows; later looks leave out what never occurs.
    """

    engine: Engine
    raw: ir.Table
    chosen: EventsSettings
    now: datetime | None
    known: ir.Table | None

    @cached_property
    def meaning(self) -> Meaning:
        return self._read(self.raw)

    def count(self) -> _Counts:
        """Look at all rows: texts are few, so what depends on them alone is found out once for each of them."""
        meaning, none = self.meaning, len(self.meaning.faults) + 1
        written = self.raw.select(
            customer=meaning.customer, type=meaning.type, at=meaning.at, place=meaning.find_row_fault()
        )
        seen = written.group_by(CUSTOMER, TYPE, "place").agg(
            rows=written.count(), first=written["at"].min(), last=written["at"].max()
        )
        seen = self._mark_unknown(
            self.engine.keep(seen.mutate(read=read_customer(seen.customer), read_type=read_text(seen.type)))
        )
        first_fault = ibis.least(
            ibis.ifelse(seen.place < none - 1, seen.place, none),
            ibis.ifelse(seen.read.isnull(), meaning.find_place(CUSTOMER), none),
            ibis.ifelse(seen.read_type.isnull(), meaning.find_place(TYPE), none),
            ibis.ifelse(seen.is_unknown, none - 1, none),
        )
        differs = seen.read_type != seen.type
        if seen.customer.type().is_string():
            differs |= seen.read != seen.customer
        marked = seen.mutate(fault=first_fault, differs=differs.fill_null(False))
        totals = marked.group_by("fault").agg(
            rows=marked.rows.sum(), first=marked["first"].min(), last=marked["last"].max(), differs=marked.differs.any()
        )
        usable = marked.filter(marked.fault == none)
        types = usable.group_by("read_type").agg(rows=usable.rows.sum())
        largest = types.order_by([types.rows.desc(), types.read_type]).limit(_MOST_TYPES)
        by_fault, by_type = (self.engine.batches(table).read_all().to_pylist() for table in (totals, largest))
        return self._sum_up(by_fault, by_type)

    def select_events(self, counts: _Counts) -> ir.Table:
        """Select the rows that are events, and the key of each as the last column."""
        meaning = self.meaning
        reason = meaning.find_reason(counts.faults)
        events = self.raw.select(**meaning.read_event(counts.as_written), **{_KEY: meaning.key, _REASON: reason})
        events = (events.filter(events[_REASON].isnull()) if counts.faults else events).drop(_REASON)
        return (
            events.semi_join(self._there, events.customer == self._there.known_customer)
            if counts.has_unknown
            else events
        )

    def select_marked(self, counts: _Counts, keys: ir.Table | None = None) -> ir.Table:
        """Select all rows, or those of some keys: as they are, as what they mean, and why they are no events."""
        raw = self.raw
        if keys is not None:
            key = find_free_name(_KEY, raw.columns)
            keyed = raw.mutate(**{key: self.meaning.key})
            raw = keyed.semi_join(keys, keyed[key] == keys[_KEY]).drop(key)
        meaning = self._read(raw)
        own = {f"raw_{place}": raw[name] for place, name in enumerate(raw.columns)}
        reason = meaning.find_reason(counts.faults)
        marked = raw.select(**own, **meaning.read_event(), **{_REASON: reason})
        if not counts.has_unknown:
            return marked
        there = self._there
        joined = marked.left_join(there, marked.customer == there.known_customer)
        unknown = ibis.ifelse(joined.known_customer.isnull(), _UNKNOWN, ibis.null(dt.string))
        return joined.mutate(**{_REASON: ibis.coalesce(joined[_REASON], unknown)}).drop("known_customer")

    def select_rejected(self, counts: _Counts) -> ir.Table:
        """Select the rows that are no events: reason, and the columns of the log as text."""
        marked = self.select_marked(counts)
        return self.show(marked.filter(marked[_REASON].notnull()))

    def show(self, marked: ir.Table) -> ir.Table:
        """Give marked rows as they are written to the file of rejected ones."""
        own = {name: marked[f"raw_{place}"].cast(dt.string) for place, name in enumerate(self.raw.columns)}
        return marked.select(marked[_REASON].name(find_free_name("reason", own)), **own)

    def show_lines(self, malformed: ir.Table) -> ir.Table:
        """Give lines that are no rows as rejected rows are written: the whole line in the first column."""
        first, *others = self.raw.columns
        reason = {find_free_name("reason", self.raw.columns): ibis.literal(_MALFORMED)}
        return malformed.select(**reason, **{first: malformed.line}, **dict.fromkeys(others, ibis.null(dt.string)))

    def _read(self, raw: ir.Table) -> Meaning:
        return read_rows(self.engine, raw, self.chosen, self._now)

    @cached_property
    def _now(self) -> datetime:
        return self.now or datetime.now(UTC)

    @cached_property
    def _there(self) -> ir.Table:
        """The customers there are, read as those in the log are.

        Raises:
            DataError: one is a text, and those of the log are whole numbers.
        """
        assert self.known is not None  # noqa: S101 - asked for only where there are some
        kind = read_customer(self.meaning.customer).type()
        there = match_customers(self.engine, self.known.customer, kind, "data.customers")
        return self.known.select(known_customer=there).distinct()

    def _mark_unknown(self, seen: ir.Table) -> ir.Table:
        if self.known is None:
            return seen.mutate(is_unknown=ibis.literal(False))
        there = self._there
        joined = seen.left_join(there, seen.read == there.known_customer)
        return joined.mutate(is_unknown=joined.known_customer.isnull()).drop("known_customer")

    def _sum_up(self, by_fault: list[dict[str, Any]], by_type: list[dict[str, Any]]) -> _Counts:
        reasons = [*(fault.reason for fault in self.meaning.faults), _UNKNOWN]
        rejected: dict[str, int] = {}
        for group in by_fault:
            if group["fault"] < len(reasons):
                reason = reasons[group["fault"]]
                rejected[reason] = rejected.get(reason, 0) + int(group["rows"])
        accepted = next((group for group in by_fault if group["fault"] == len(reasons)), None)
        return _Counts(
            rows=sum(int(group["rows"]) for group in by_fault),
            rejected=_by_number(rejected),
            faults=frozenset(group["fault"] for group in by_fault if group["fault"] < len(reasons) - 1),
            has_unknown=any(group["fault"] == len(reasons) - 1 for group in by_fault),
            types={
                group["read_type"]: int(group["rows"])
                for group in sorted(by_type, key=lambda group: (-group["rows"], group["read_type"]))
            },
            usable=accepted["rows"] if accepted else 0,
            first=accepted["first"] if accepted else 0,
            last=accepted["last"] if accepted else 0,
            as_written=accepted is not None and not accepted["differs"],
        )


def _by_number(rejected: dict[str, int]) -> dict[str, int]:
    return dict(sorted(rejected.items(), key=lambda each: (-each[1], each[0])))


def _find_duplicates(rows: _Rows, counts: _Counts) -> _Duplicates | None:
    """Find the rows that are one event.

    Only hashes are compared over the whole log; the few rows whose hash occurs again are then compared by what they
    hold, so that two events are never taken for one because their hashes are equal.
    """
    chosen, raw, engine = rows.chosen, rows.raw, rows.engine
    by = [f"raw_{place}" for place, name in enumerate(raw.columns) if name not in chosen.not_identifying]
    if chosen.event_id is not None:
        by = [f"raw_{find_event_id(raw, chosen.event_id)}"]
    keys = engine.find_repeated(rows.select_events(counts).select(_KEY), counts.usable)
    if keys is None:
        return None
    marked = rows.select_marked(counts, keys)
    repeated = marked.filter(marked[_REASON].isnull())
    # to the last column, so that neither the order of rows nor the engine has a say in which of them is kept
    order_by = [repeated.known, repeated["at"], repeated.type, repeated.customer, repeated.amount.fill_null(_NO_AMOUNT)]
    order_by += [repeated[name].fill_null("") for name in repeated.columns if name.startswith("attribute_")]
    order = ibis.window(group_by=by, order_by=order_by)
    ranked = engine.keep(repeated.mutate(**{_PLACE: ibis.row_number().over(order)}))
    reason = _DUPLICATE if chosen.event_id is None else f"{chosen.event_id!r} occurred before"
    left = ranked.filter(ranked[_PLACE] > 0).mutate(**{_REASON: ibis.literal(reason)})
    number = engine.count(left)
    return _Duplicates(keys, ranked.filter(ranked[_PLACE] == 0), left, {reason: number} if number else {})
