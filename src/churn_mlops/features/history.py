"""What is known of each customer's events before a snapshot: the quantities that features are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import DAY_MICROSECONDS, MILLIONTHS
from churn_mlops.data.events.engine import bit_count, bit_or, divide
from churn_mlops.features.cells import to_day

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.features.cells import Cells


@dataclass(frozen=True)
class History:
    """Aggregates over the events that were known of a customer before a snapshot.

    Every method gives an aggregate for a grouping by customer; `kind` is an event type, None all of them.

    Attributes:
        cells: the log, added up.
        snapshot: nothing from this midnight on is seen.
        windows_days: the windows that there are.
        keep: computes a table once.
    """

    cells: Cells
    snapshot: date
    windows_days: Sequence[int]
    keep: Callable[[ir.Table], ir.Table]

    @cached_property
    def by_type(self) -> ir.Table:
        """The quantities of each customer and event type, a row each: cells are many, these are few."""
        cells = self.cells.before(self.snapshot)
        quantities: dict[str, Any] = {
            "events": cells.events.sum(),
            "amount": cells.amount.sum(),
            "amounts": cells.amounts.sum(),
            "first": cells.first.min(),
            "last": cells.last.max(),
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

    def events(self, days: int | None = None, kind: str | None = None) -> ir.IntegerScalar:
        """Count events in the last days before the snapshot; of all time without days."""
        return self._sum("events" if days is None else f"events_{days}", kind)

    def events_before(self, days: int, kind: str | None = None) -> ir.IntegerScalar:
        """Count events in as many days before the last ones."""
        return self._sum(f"events_before_{days}", kind)

    def amount(self, days: int | None = None, kind: str | None = None) -> ir.FloatingScalar:
        """Add up amounts."""
        return self._sum("amount" if days is None else f"amount_{days}", kind).cast(dt.float64) / MILLIONTHS

    def mean_amount(self, days: int | None = None, kind: str | None = None) -> ir.FloatingScalar:
        """Average amounts; missing where there are none."""
        return divide(self.amount(days, kind), self._sum("amounts" if days is None else f"amounts_{days}", kind))

    def active_days(self, days: int, kind: str | None = None) -> ir.IntegerScalar:
        """Count the days with an event."""
        # bits, and not counts of cells, as a day is in several of them where its events became known at different times
        counted = [
            bit_count(bits).sum(where=self._is(kind)).fill_null(0) if kind else bit_count(bit_or(bits))
            for bits in (self.by_type[f"bits_{interval}"] for interval in self._intervals(days))
        ]
        total = counted[0]
        for more in counted[1:]:
            total = total + more
        return total.cast(dt.int64)

    def days_since_first(self) -> ir.FloatingScalar:
        """Days from the first event to the snapshot."""
        return self._days_since(self.by_type["first"].min())

    def days_since_last(self, kind: str | None = None) -> ir.FloatingScalar:
        """Days from the last event to the snapshot; missing where there is none."""
        return self._days_since(self.by_type["last"].max(where=self._is(kind)))

    def mean_gap_days(self) -> ir.FloatingScalar:
        """Mean days between one event and the next; missing with fewer than two."""
        span = self.by_type["last"].max() - self.by_type["first"].min()
        return divide(span / DAY_MICROSECONDS, self.events() - 1)

    def attribute(self, place: int) -> ir.StringScalar:
        """Give the latest value of an attribute, with the time before it."""
        return self.by_type[f"attribute_{place}"].max()

    def _sum(self, column: str, kind: str | None) -> Any:
        return self.by_type[column].sum(where=self._is(kind)).fill_null(0)

    def _is(self, kind: str | None) -> ir.BooleanValue | None:
        return None if kind is None else self.by_type.slot == self.cells.types.index(kind)

    def _days_since(self, time: ir.IntegerScalar) -> ir.FloatingScalar:
        return (to_day(self.snapshot) * DAY_MICROSECONDS - time).cast(dt.float64) / DAY_MICROSECONDS

    def _interval_before(self, days: int) -> int:
        return self.cells.interval_from(to_day(self.snapshot) - days)

    def _intervals(self, days: int) -> range:
        return range(self._interval_before(days), self.cells.interval_from(to_day(self.snapshot)))
