"""Goes through an event log once and adds it up in cells: customer by type by interval of days."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import DAY_MICROSECONDS, midnight
from churn_mlops.data.events.engine import bit, bit_or, locate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import ChurnSettings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine

OTHER: Final = "other"
"""What all event types without features of their own are called together."""

_LONGEST_INTERVAL: Final = 60
"""Days of an interval at most: the days on which something happened are bits of one whole number."""

_LONG_AGO: Final = 900 * _LONGEST_INTERVAL * DAY_MICROSECONDS
"""What makes times before 1970 (and after 1822) positive, and leaves every day's bit where it is. Times up to 2107 stay
below 2**53 with it, where floats, by which an engine may divide, are exact."""


@dataclass(frozen=True)
class Cells:
    """The log, added up so that every window of every snapshot is a sum of whole cells.

    Attributes:
        table: customer; slot (place in `types`), interval; seen_from (place of the first snapshot that may see the
            cell, where events can be late); events, amount, amounts (how many have one), first, last (microseconds),
            days (a bit for each day of the interval with an event), and the attributes' latest values.
        types: event types, in the order of their slots.
        edges: midnights between the intervals, days since 1970, ascending; interval i ends at edge i.
        snapshots: ascending.
        is_late: whether there is seen_from.
        attributes: how many attributes events have.
    """

    table: ir.Table
    types: tuple[str, ...]
    edges: tuple[int, ...]
    snapshots: tuple[date, ...]
    is_late: bool
    attributes: int

    def interval_from(self, day: int) -> int:
        """Give the first interval that begins at a midnight (days since 1970), which must be an edge."""
        place = bisect_left(self.edges, day)
        assert self.edges[place] == day  # noqa: S101 - all windows were cut
        return place + 1

    def before(self, snapshot: date) -> ir.Table:
        """Give the cells that were known before a snapshot."""
        visible = self.table.interval < self.interval_from(to_day(snapshot))
        if self.is_late:
            visible &= self.table.seen_from <= self.snapshots.index(snapshot)
        return self.table.filter(visible)

    def between(self, begin: int, end: int) -> ir.Table:
        """Give the cells from one midnight to another (days since 1970), whenever they became known."""
        return self.table.filter(
            (self.table.interval >= self.interval_from(begin)) & (self.table.interval < self.interval_from(end))
        )


def to_day(snapshot: date) -> int:
    """Count the days from 1970 to a date."""
    return midnight(snapshot) // DAY_MICROSECONDS


def choose_types(counts: dict[str, int], churn: ChurnSettings, wanted: int | tuple[str, ...]) -> tuple[str, ...]:
    """Choose the event types that have features of their own.

    Args:
        counts: events by type, in the log.
        churn: whose event types, which show activity, are among them.
        wanted: how many of the most frequent, or which ones.

    Returns:
        The types; `OTHER` is the last, if the log has more of them, or may have: where they are named. A type of the
        log that is called so itself counts with the rest.
    """
    chosen = list(dict.fromkeys(churn.event_types))
    if not isinstance(wanted, int):
        return (*dict.fromkeys(kind for kind in (*chosen, *wanted) if kind != OTHER), OTHER)
    others = counts.keys() - {*chosen, OTHER}
    ranked = sorted(others, key=lambda kind: (-counts[kind], kind))
    chosen += ranked[: max(0, wanted - len(chosen))]
    return (*chosen, OTHER) if set(counts) - set(chosen) else tuple(chosen)


def cut_days(snapshots: Sequence[date], windows_days: Sequence[int], churn: ChurnSettings) -> tuple[int, ...]:
    """Find every midnight at which a window of a snapshot begins or ends, as days since 1970, ascending."""
    offsets = {0, -churn.active_days, churn.lead_days, *(churn.lead_days + days for days in churn.horizon_days)}
    offsets |= {-days * times for days in windows_days for times in (1, 2)}
    edges = sorted({to_day(snapshot) + offset for snapshot in snapshots for offset in offsets})
    between = {day for begin, end in pairwise(edges) for day in range(begin, end, _LONGEST_INTERVAL)}
    return tuple(sorted(between | set(edges)))


def add_up(
    engine: Engine,
    log: EventLog,
    types: tuple[str, ...],
    snapshots: Sequence[date],
    windows_days: Sequence[int],
    churn: ChurnSettings,
) -> Cells:
    """Add the log up in cells; this is the one pass over all events."""
    edges, ordered = cut_days(snapshots, windows_days, churn), tuple(sorted(snapshots))
    events = log.events
    interval = locate(events["at"], [edge * DAY_MICROSECONDS for edge in edges])
    keys = {"customer": events.customer, "slot": _slot(events.type, types), "interval": interval}
    if log.is_late:
        keys["seen_from"] = locate(events.known, [midnight(snapshot) for snapshot in ordered])
    attributes = [name for name in events.columns if name.startswith("attribute_")]
    stamped = {name: stamp(events["at"], events[name]) for name in attributes}
    day = engine.divide_whole(events["at"] + _LONG_AGO, DAY_MICROSECONDS)
    placed = events.select(**keys, at=events["at"], amount=events.amount, day=day, **stamped)
    cells = placed.group_by(list(keys)).agg(
        events=placed.count(),
        amount=placed.amount.sum(),
        amounts=placed.amount.count(),
        first=placed["at"].min(),
        last=placed["at"].max(),
        days=bit_or(bit(placed.day % _LONGEST_INTERVAL)),
        **{name: placed[name].max() for name in attributes},
    )
    return Cells(engine.keep(cells), types, edges, ordered, log.is_late, len(attributes))


def _slot(kind: ir.StringValue, types: tuple[str, ...]) -> ir.IntegerValue:
    named = types[:-1] if types[-1] == OTHER else types
    places = [(kind == name, ibis.literal(place, dt.int32)) for place, name in enumerate(named)]
    rest = ibis.literal(len(named), dt.int32)  # of types that were not there to be learnt: a slot that no feature reads
    return ibis.cases(*places, else_=rest) if places else rest


def stamp(at: ir.IntegerValue, value: ir.StringValue) -> ir.StringValue:
    """Put the time before a value, so that the greatest is the latest, and of equal times the same on every engine."""
    return (at + _LONG_AGO).cast(dt.string).lpad(20, "0").concat(value)


def unstamp(stamped: ir.StringValue) -> ir.StringValue:
    """Take the time away again."""
    return stamped.substr(20)
