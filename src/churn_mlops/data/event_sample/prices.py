"""What each customer's bill is over at any time: it follows the plan and the price rise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.data.event_sample.customers import PLAN_PRICES, PRICE_RISE

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.customers import Customers, Floats, Integers


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices that change at most twice: [customers].

    Attributes:
        first: price at first.
        changed: day from which another plan is paid for; infinite for none.
        ratio: of that plan's price to the first one's.
        risen: day from which the price is `PRICE_RISE` times as high; infinite where it never is.
    """

    first: Floats
    changed: Floats
    ratio: Floats
    risen: Floats

    @classmethod
    def of(cls, customers: Customers, changed: Floats, plan_after: Integers) -> Prices:
        """Take what customers pay at first, and the day and the plan of a change: [customers] each."""
        ratio = PLAN_PRICES[plan_after] / PLAN_PRICES[customers.plan]
        return cls(customers.price, changed, ratio, customers.rise_day)

    def at(self, customer: Integers, day: Floats) -> Floats:
        """Give what a bill is over, of customers (by place) at days: both [bills], as is the answer."""
        changed = np.where(day >= self.changed[customer], self.ratio[customer], 1.0)
        risen = np.where(day >= self.risen[customer], PRICE_RISE, 1.0)
        return np.round(self.first[customer] * changed * risen, 2)
