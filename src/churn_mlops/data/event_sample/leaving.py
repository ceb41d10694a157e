"""Draws when customers leave: of what drives them away, a log shows only part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.billing import Bills
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats, Integers
    from churn_mlops.data.event_sample.usage import Usage

_UNTROUBLED: Final = -7.15
"""Log of the hazard of a week."""

_PLANS: Final = np.array([0.35, 0.0, -0.4])
_CHANNELS: Final = np.array([-0.25, 0.0, 0.5, -0.3, 0.1])  # the last for an unknown one
_USUAL_LOG_RATE: Final = 0.7
_CASUAL: Final = 0.2
"""Share of customers for whom a decline means little, and what is left of its effect."""

_RENEWAL_WEEKS: Final = 4
_RENEWAL, _COMMITTED = 2.8, -2.2
_WEEKS_PER_YEAR: Final = 365.25 / 7


def draw_leaving(
    random: np.random.Generator, customers: Customers, calendar: Calendar, usage: Usage, tickets: Integers, bills: Bills
) -> Floats:
    """Draw the day on which each customer leaves; infinite for those who stay beyond the log's end: [customers].

    What is drawn as frailty, and the hour at which somebody simply goes, leave no trace; who declines may recover or
    mean nothing by it. Unpaid subscriptions end by themselves.
    """
    ages = calendar.week_starts - customers.joined[:, None]
    casual = np.where(random.random(len(customers)) < _CASUAL, _CASUAL, 1.0)
    log_hazard = (
        _describe(customers)[:, None]
        + 2.0 * np.exp(-np.maximum(ages, 0.0) / 90)
        - 2.5 * _lag(usage.decline, 2) * casual[:, None]
        - 0.8 * usage.mood
        + 1.7 * np.minimum(_recent(tickets, 0.8), 2.0)
        + 1.3 * np.minimum(_recent(bills.failures, 0.75), 2.0)
        + 2.6 * fade(calendar.week_starts, customers.rise_day, 6.0) * customers.sensitive[:, None]
        + np.where(customers.annual[:, None], _renewal(ages), 0.0)
    )
    leaves = random.random(log_hazard.shape) < -np.expm1(-np.exp(log_hazard))
    leaves &= (ages > -7) & (calendar.week_starts > 0)
    week = np.where(leaves.any(axis=1), leaves.argmax(axis=1), np.inf)
    left = np.maximum(7 * (week + random.random(len(customers))), customers.joined + random.random(len(customers)))
    left = np.minimum(left, bills.given_up)
    return np.where(left < calendar.days, left, np.inf)


def fade(weeks: Floats, day: Floats, fading_weeks: float) -> Floats:
    """Give 1 in the week of a day, fading after it, and 0 before: [customers, weeks]."""
    passed = weeks - day[:, None] + 7
    return np.where(passed >= 0, np.exp(-np.maximum(passed, 0.0) / (7 * fading_weeks)), 0.0)


def _describe(customers: Customers) -> Floats:
    """Give the log hazard that does not change: [customers]."""
    usual = 0.45 * (customers.log_rate - _USUAL_LOG_RATE)
    of_attributes: Floats = _PLANS[customers.plan] + _CHANNELS[customers.channel]
    return _UNTROUBLED + customers.frailty + of_attributes - usual


def _renewal(ages: Floats) -> Floats:
    """Give the log hazard of those who pay by the year: they go when the year ends, seldom in between."""
    to_end = -ages / 7 % _WEEKS_PER_YEAR
    return np.where((to_end < _RENEWAL_WEEKS) & (ages > 180), _RENEWAL, _COMMITTED)


def _lag(values: Floats, weeks: int) -> Floats:
    return np.concatenate([np.repeat(values[:, :1], weeks, axis=1), values[:, :-weeks]], axis=1)


def _recent(counts: Integers, kept: float) -> Floats:
    """Sum what happened up to the week before, each week worth `kept` of the next: [customers, weeks]."""
    sums = np.zeros(counts.shape)
    for week in range(1, counts.shape[1]):
        sums[:, week] = kept * (sums[:, week - 1] + counts[:, week - 1])
    return sums
