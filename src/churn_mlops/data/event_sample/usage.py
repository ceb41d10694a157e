"""Draws how much customers use the service, week by week: it drifts, pauses, and at times declines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats

_DECLINE_BEGINS: Final = 0.006
_DECLINE_ENDS: Final = (0.04, 0.003)
"""Of each week, for most and for those who stay at a low level."""

_STAY_LOW: Final = 0.25
_AWAY: Final = 0.035
_AWAY_LONGER: Final = 0.5
_AWAY_EFFECT: Final = -2.5


@dataclass(frozen=True, slots=True)
class Usage:
    """How much customers use the service: [customers, weeks].

    Attributes:
        rate: sessions expected in a week.
        decline: log of what a decline leaves of the usual rate, never above 0.
        mood: log of the rate against the usual one that comes and goes by itself.
    """

    rate: Floats
    decline: Floats
    mood: Floats


def draw_usage(random: np.random.Generator, customers: Customers, calendar: Calendar) -> Usage:
    """Draw usage as if every customer were there all the time."""
    shape = len(customers), calendar.weeks
    decline, mood = _drift(random, customers, calendar)
    away = random.random(shape) < _AWAY
    away[:, 1:] |= away[:, :-1] & (random.random((shape[0], shape[1] - 1)) < _AWAY_LONGER)
    ages = calendar.week_starts - customers.joined[:, None]
    beginning = 0.5 * np.exp(-np.maximum(ages, 0.0) / 30)
    usual = customers.log_rate[:, None] + calendar.season
    return Usage(np.exp(usual + decline + mood + _AWAY_EFFECT * away + beginning), decline, mood)


def _drift(random: np.random.Generator, customers: Customers, calendar: Calendar) -> tuple[Floats, Floats]:
    count, weeks = len(customers), calendar.weeks
    begins = random.random((weeks, count)) < _DECLINE_BEGINS * np.exp(0.5 * customers.frailty)
    ends = random.random((weeks, count)) < np.where(random.random(count) < _STAY_LOW, *_DECLINE_ENDS[::-1])
    depth = -random.uniform(0.9, 2.8, count)
    speed = 1 / random.uniform(2.0, 8.0, count)
    shocks = random.normal(0.0, 0.12, (weeks, count))
    decline, mood = np.empty((weeks, count)), np.empty((weeks, count))
    declining = random.random(count) < 0.03
    level, feeling = depth * declining * random.random(count), random.normal(0.0, 0.28, count)
    for week in range(weeks):
        declining = (declining & ~ends[week]) | begins[week]
        level = level + speed * (depth * declining - level)
        feeling = 0.9 * feeling + shocks[week]
        decline[week], mood[week] = level, feeling
    return decline.T, mood.T
