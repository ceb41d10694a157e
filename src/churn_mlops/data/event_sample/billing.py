"""Draws the bills of a sample log: due by the month or the year, at times not collected, tried again, given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Booleans, Customers, Floats, Integers
    from churn_mlops.data.event_sample.prices import Prices

_MONTH_DAYS: Final = 30.4375
_YEAR_DAYS: Final = 365.25
_RETRY_DAYS: Final = np.array([0.0, 3.0, 8.0, 15.0])
_FAILS_AGAIN: Final = (0.4, 0.45, 0.5)
_GIVE_UP_DAYS: Final = 16.0


@dataclass(frozen=True, slots=True)
class Bills:
    """Attempts to collect money, and what came of them.

    Attributes:
        customer: whose: [attempts].
        day: when: [attempts].
        amount: over how much: [attempts].
        failed: whether nothing was collected: [attempts].
        failures: failed attempts in each week: [customers, weeks].
        given_up: day on which the subscription ends unpaid; infinite where it does not: [customers].
    """

    customer: Integers
    day: Floats
    amount: Floats
    failed: Booleans
    failures: Integers
    given_up: Floats


def draw_bills(random: np.random.Generator, customers: Customers, calendar: Calendar, prices: Prices) -> Bills:
    """Draw all attempts within the log, as if every customer stayed: who leaves makes the rest void.

    The bill of the day of joining is paid then; all others are collected by a job in the early hours.
    """
    period = np.where(customers.annual, _YEAR_DAYS, _MONTH_DAYS)
    first = np.ceil(np.maximum(-customers.joined, 0.0) / period)
    count = int(calendar.days / _MONTH_DAYS) + 2
    due = customers.joined[:, None] + (first[:, None] + np.arange(count)) * period[:, None]
    at_once = due == customers.joined[:, None]
    due = np.where(at_once, due, np.floor(due) + 1 + (3 + 2 * random.random(due.shape)) / 24)
    risks = customers.card_risk[:, None], *_FAILS_AGAIN
    fails = np.stack([random.random(due.shape) < risk for risk in risks], axis=-1) & ~at_once[:, :, None]
    made = np.ones_like(fails)
    made[:, :, 1:] = np.logical_and.accumulate(fails, axis=-1)[:, :, :-1]
    days = due[:, :, None] + _RETRY_DAYS
    given_up = np.where(fails.all(axis=-1), due + _GIVE_UP_DAYS, np.inf).min(axis=1)

    customer, _, _ = attempts = np.nonzero(made & (days < calendar.days))
    day, failed = days[attempts], fails[attempts]
    week = (customer * calendar.weeks + (day / 7).astype(np.int64))[failed]
    failures = np.bincount(week, minlength=len(customers) * calendar.weeks).reshape(len(customers), -1)
    return Bills(customer, day, prices.at(customer, day), failed, failures, given_up)
