"""What is known of each customer's events before a snapshot: the quantities that features are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import DAY_MICROSECONDS, MILLIONTHS
from churn_mlops.data.events.engine import bit_count, bit_or, divide
from churn_mlops.features.cells import to_day

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.features.cells import Cells

_TYPED: Final = ("events", "amount", "amounts", "bits", "last")
"""The quantities that are asked for by event type."""

_JOINED_AT_ONCE: Final = 30
"""Event types that are joined in one query: engines plan longer with each, and SQLite takes 64 tables at most."""


@dataclass(frozen=True)
class History:
    """What was known before a snapshot of the events of each customer at risk.

    Every method gives a column of `customers`; `kind` is an event type, None all of them.

    Attributes:
        cells: the log, added up.
        snapshot: nothing from this midnight on is seen.
        windows_days: the windows that there are.
        at_risk: column customer.
        keep: computes a table once.
    """

    cells: Cells
    snapshot: date
    windows_days: Sequence[int]
    at_risk: ir.Table
    keep: Callable[[ir.Table], ir.Table]

    @cached_property
    def customers(self) -> ir.Table:
        """A row for each customer: the quantities of all events, and beside them those of each event type.

        They are joined rather than added up by conditions, as a sum that leaves most rows out costs as much as another.
        """
        by_type = self._by_type
        joined = by_type.group_by("customer").agg(**{name: _add_up(by_type, name) for name in by_type.columns[2:]})
        for begin in range(0, len(self.cells.types), _JOINED_AT_ONCE):
            totals = joined = self.keep(joined) if begin else joined
            for slot in range(begin, min(begin + _JOINED_AT_ONCE, len(self.cells.types))):
                of_type = self._of_slot(slot)
                joined = joined.left_join(of_type, totals.customer == of_type[f"customer_of_{slot}"])
        return joined

    def _of_slot(self, slot: int) -> ir.Table:
        """The quantities of one event type, under names of their own."""
        of_type = self._by_type.filter(self._by_type.slot == slot)
        names = ["customer", *(name for name in self._by_type.columns[2:] if name.split("_")[0] in _TYPED)]
        return of_type.select(**{f"{name}_of_{slot}": of_type[name] for name in names})

    @cached_property
    def _by_type(self) -> ir.Table:
        """The quantities of each customer and event type, a row each: cells are many, these are few."""
        cells = self.cells.before(self.snapshot).semi_join(self.at_risk, "customer")
        quantities: dict[str, Any] = {
            "events": cells.events.sum(),
            "amount": cells.amount.sum(),
            "amounts": cells.amounts.sum(),
            "first": cells["first"].min(),
            "last": cells["last"].max(),
        }
        for days in self.windows_days:
            within = cells.interval >= self._interval_before(days)
            before = (cells.interval >= self._interval_before(2 * days)) & ~within
            quantities[f"events_{days}"] = cells.events.sum(where=within)
            quantities[f"events_before_{days}"] = cells.events.sum(where=before)
            quantities[f"amount_{days}"] = cells.amount.sum(where=within)
            quantities[f"amounts_{days}"] = cells.amounts.sum(where=within)
        for interval in self._intervals(max(self.windows_days)):
            in_it = (cells.interval == interval).ifelse(cells.days, 0)
            quantities[f"bits_{interval}"] = bit_or(in_it)
        for place in range(self.cells.attributes):
            quantities[f"attribute_{place}"] = cells[f"attribute_{place}"].max()
        return self.keep(cells.group_by("customer", "slot").agg(**quantities))

    def events(self, days: int | None = None, kind: str | None = None) -> ir.IntegerColumn:
        """Count events in the last days before the snapshot; of all time without days."""
        return self._count("events" if days is None else f"events_{days}", kind)

    def events_before(self, days: int, kind: str | None = None) -> ir.IntegerColumn:
        """Count events in as many days before the last ones."""
        return self._count(f"events_before_{days}", kind)

    def amount(self, days: int | None = None, kind: str | None = None) -> ir.FloatingColumn:
        """Add up amounts."""
        return self._count("amount" if days is None else f"amount_{days}", kind).cast(dt.float64) / MILLIONTHS

    def mean_amount(self, days: int | None = None, kind: str | None = None) -> ir.FloatingColumn:
        """Average amounts; missing where there are none."""
        return divide(self.amount(days, kind), self._count("amounts" if days is None else f"amounts_{days}", kind))

    def active_days(self, days: int, kind: str | None = None) -> ir.IntegerColumn:
        """Count the days with an event."""
        # bits, and not counts of cells, as a day is in several of them where its events became known at different times
        bits = [self._of(f"bits_{place}", kind) for place in self._intervals(days)]
        total, *others = [bit_count(of_interval).cast(dt.int64).fill_null(0) for of_interval in bits]
        for more in others:
            total = total + more
        return total

    def days_since_first(self) -> ir.FloatingColumn:
        """Days from the first event to the snapshot."""
        return self._days_since(self._of("first"))

    def days_since_last(self, kind: str | None = None) -> ir.FloatingColumn:
        """Days from the last event to the snapshot; missing where there is none."""
        return self._days_since(self._of("last", kind))

    def mean_gap_days(self) -> ir.FloatingColumn:
        """Mean days between one event and the next; missing with fewer than two."""
        span = self._of("last") - self._of("first")
        return divide(span / DAY_MICROSECONDS, self.events() - 1)

    def attribute(self, place: int) -> ir.StringColumn:
        """Give the latest value of an attribute, with the time before it."""
        return self._of(f"attribute_{place}")

    def _count(self, quantity: str, kind: str | None) -> Any:
        return self._of(quantity, kind).fill_null(0)

    def _of(self, quantity: str, kind: str | None = None) -> Any:
        name = quantity if kind is None else f"{quantity}_of_{self.cells.types.index(kind)}"
        return self.customers[name]

    def _days_since(self, time: ir.IntegerColumn) -> ir.FloatingColumn:
        return (to_day(self.snapshot) * DAY_MICROSECONDS - time).cast(dt.float64) / DAY_MICROSECONDS

    def _interval_before(self, days: int) -> int:
        return self.cells.interval_from(to_day(self.snapshot) - days)

    def _intervals(self, days: int) -> range:
        return range(self._interval_before(days), self.cells.interval_from(to_day(self.snapshot)))


def _add_up(by_type: ir.Table, name: str) -> ir.Scalar:
    """Aggregate a quantity of event types to that of all events."""
    kind = name.split("_")[0]
    column = by_type[name]
    if kind == "bits":
        return bit_or(column)
    if kind == "first":
        return column.min()
    return column.max() if kind in ("last", "attribute") else column.sum()
