"""What each customer's bill is over at any time: it follows the plan, which some change, and the price rise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.calendar import SECONDS_PER_DAY
from churn_mlops.data.event_sample.customers import PLAN_PRICES, PLANS, PRICE_RISE

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats, Integers

_UPGRADES: Final = 0.002
_DOWNGRADES: Final = 0.0015


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices that change at most twice: [customers].

    Attributes:
        first: price at first.
        changed: day from which another plan is paid for; infinite for none.
        plan: place of that plan in `PLANS`.
        ratio: of its price to the first one's.
        risen: day from which the price is `PRICE_RISE` times as high; infinite where it never is.
    """

    first: Floats
    changed: Floats
    plan: Integers
    ratio: Floats
    risen: Floats

    def at(self, customer: Integers, day: Floats) -> Floats:
        """Give what a bill is over, of customers (by place) at days: both [bills], as is the answer."""
        changed = np.where(day >= self.changed[customer], self.ratio[customer], 1.0)
        risen = np.where(day >= self.risen[customer], PRICE_RISE, 1.0)
        return np.round(self.first[customer] * changed * risen, 2)


def draw_prices(random: np.random.Generator, customers: Customers, decline: Floats, calendar: Calendar) -> Prices:
    """Draw at most one change of plan for each customer; a decline of usage makes a cheaper one likely.

    Args:
        random: what to draw from.
        customers: who pays.
        decline: of usage, see `Usage`: [customers, weeks].
        calendar: the days of the log.
    """
    shape, everybody = (len(customers), calendar.weeks), np.arange(len(customers))
    down = random.random(shape) < _DOWNGRADES * np.exp(-0.9 * decline)
    changes = (down | (random.random(shape) < _UPGRADES)) & (calendar.week_starts > customers.joined[:, None])
    week = changes.argmax(axis=1)
    day = np.floor((week + random.random(len(customers))) * 7 * SECONDS_PER_DAY) / SECONDS_PER_DAY
    plan = np.clip(customers.plan + np.where(down[everybody, week], -1, 1), 0, len(PLANS) - 1)
    happens = changes.any(axis=1) & (plan != customers.plan) & (day < calendar.days)
    plan = np.where(happens, plan, customers.plan)
    ratio = PLAN_PRICES[plan] / PLAN_PRICES[customers.plan]
    return Prices(customers.price, np.where(happens, day, np.inf), plan, ratio, customers.rise_day)
