"""Draws how customers fare, week by week: how much they use, what troubles them, what they pay, and when they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.billing import Bills, draw_bills
from churn_mlops.data.event_sample.leaving import draw_leaving, fade
from churn_mlops.data.event_sample.prices import Prices, draw_prices
from churn_mlops.data.event_sample.usage import draw_usage

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats, Integers

_WRITTEN_DOWN_AT_ONCE: Final = 0.7
_LONGEST_NOTICE_DAYS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Lives:
    """How customers fare.

    Attributes:
        rate: sessions expected in each week, 0 before joining and after leaving: [customers, weeks].
        tickets: opened in each week: [customers, weeks].
        bills: attempts to collect money, also after leaving.
        prices: what a bill is over, and when the plan changes, be it after leaving.
        left: day of leaving; infinite for those who stay beyond the log's end: [customers].
        left_known: day on which that was written down: [customers].
    """

    rate: Floats
    tickets: Integers
    bills: Bills
    prices: Prices
    left: Floats
    left_known: Floats


def draw_lives(random: np.random.Generator, customers: Customers, calendar: Calendar) -> Lives:
    """Draw first what happens to customers as if they stayed, then when they leave, which ends it."""
    usage = draw_usage(random, customers, calendar)
    tickets = _draw_tickets(random, customers, calendar)
    prices = draw_prices(random, customers, usage.decline, calendar)
    bills = draw_bills(random, customers, calendar, prices)
    left = draw_leaving(random, customers, calendar, usage, tickets, bills)
    there = (calendar.week_starts + 7 > customers.joined[:, None]) & (calendar.week_starts < left[:, None])
    at_once = random.random(len(customers)) < _WRITTEN_DOWN_AT_ONCE
    left_known = left + np.where(at_once, 0.0, random.uniform(0.0, _LONGEST_NOTICE_DAYS, len(customers)))
    return Lives(usage.rate * there, tickets * there, bills, prices, left, left_known)


def _draw_tickets(random: np.random.Generator, customers: Customers, calendar: Calendar) -> Integers:
    """Draw each week's tickets: some customers open many, all do when the service fails, some at the price rise."""
    usual = random.gamma(1.0, 0.03, len(customers))[:, None]
    annoyed = fade(calendar.week_starts, customers.rise_day, 3.0) * customers.sensitive[:, None]
    return random.poisson(usual * (1 + 4.0 * calendar.is_bad + 2.0 * annoyed))
