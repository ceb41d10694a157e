"""Draws how customers fare, week by week: how much they use, what troubles them, what they pay, and when they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.billing import Bills, draw_bills
from churn_mlops.data.event_sample.customers import PLANS
from churn_mlops.data.event_sample.prices import Prices

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats, Integers

_BASE: Final = -7.15
"""Log of the weekly hazard of an untroubled customer."""

_PLAN_EFFECT: Final = np.array([0.35, 0.0, -0.4])
_CHANNEL_EFFECT: Final = np.array([-0.25, 0.0, 0.5, -0.3, 0.1])  # the last for an unknown one
_WEEKS_PER_YEAR: Final = 365.25 / 7
_NEVER: Final = np.inf
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
        plan_after: place in `PLANS` after the change: [customers].
        left: day of leaving; infinite for those who stay beyond the log's end: [customers].
        left_known: day on which that was written down: [customers].
    """

    rate: Floats
    tickets: Integers
    bills: Bills
    prices: Prices
    plan_after: Integers
    left: Floats
    left_known: Floats


def draw_lives(random: np.random.Generator, customers: Customers, calendar: Calendar) -> Lives:
    """Draw lives in which only part of what makes customers leave can be seen.

    Usage drifts, and at times declines for weeks; a decline raises the hazard, yet many recover from one or stay at a
    low level. Tickets, failed payments, the price rise and the first months raise it too. What is drawn as frailty, and
    the hour at which somebody simply goes, leave no trace.
    """
    shape = len(customers), calendar.weeks
    ages = calendar.week_starts - customers.joined[:, None]
    decline, mood = _drift(random, customers, calendar)
    away = random.random(shape) < 0.035
    away[:, 1:] |= away[:, :-1] & (random.random((shape[0], shape[1] - 1)) < 0.5)
    start_up = 0.5 * np.exp(-np.maximum(ages, 0.0) / 30)
    rate = np.exp(customers.log_rate[:, None] + calendar.season + decline + mood - 2.5 * away + start_up)

    patience = random.gamma(1.0, 0.03, len(customers))[:, None]
    rise = _since(calendar.week_starts, customers.rise_day, 3.0)
    tickets = random.poisson(patience * (1 + 4.0 * calendar.is_bad + 2.0 * rise * customers.sensitive[:, None]))
    changed, plan_after = _draw_changes(random, customers, decline, calendar)
    prices = Prices.of(customers, changed, plan_after)
    bills = draw_bills(random, customers, calendar, prices)

    hazard = (
        (_BASE + customers.frailty + _PLAN_EFFECT[customers.plan] + _CHANNEL_EFFECT[customers.channel])[:, None]
        - 0.45 * (customers.log_rate - 0.7)[:, None]
        + 2.0 * np.exp(-np.maximum(ages, 0.0) / 90)
        - 2.5 * _lag(decline) * np.where(random.random(len(customers)) < 0.2, 0.2, 1.0)[:, None]
        - 0.8 * mood
        + 1.7 * np.minimum(_recent(tickets, 0.8), 2.0)
        + 1.3 * np.minimum(_recent(bills.failures, 0.75), 2.0)
        + 2.6 * _since(calendar.week_starts, customers.rise_day, 6.0) * customers.sensitive[:, None]
    )
    hazard += np.where(customers.annual[:, None], _anniversary(ages), 0.0)
    leaves = random.random(shape) < -np.expm1(-np.exp(hazard))
    leaves &= (ages > -7) & (calendar.week_starts > 0)
    week = np.where(leaves.any(axis=1), leaves.argmax(axis=1), _NEVER)
    left = np.maximum(7.0 * (week + random.random(len(customers))), customers.joined + random.random(len(customers)))
    left = np.minimum(left, bills.given_up)
    left = np.where(left < calendar.days, left, _NEVER)
    there = (ages > -7) & (calendar.week_starts < left[:, None])
    at_once = random.random(len(customers)) < _WRITTEN_DOWN_AT_ONCE
    left_known = left + np.where(at_once, 0.0, random.uniform(0.0, _LONGEST_NOTICE_DAYS, len(customers)))
    return Lives(rate * there, tickets * there, bills, prices, plan_after, left, left_known)


def _drift(random: np.random.Generator, customers: Customers, calendar: Calendar) -> tuple[Floats, Floats]:
    """Draw log usage against the customer's own: declines (never above 0), and a mood that comes and goes."""
    count, weeks = len(customers), calendar.weeks
    begins = random.random((weeks, count)) < 0.006 * np.exp(0.5 * customers.frailty)
    ends = random.random((weeks, count)) < np.where(random.random(count) < 0.25, 0.003, 0.04)
    depth = -random.uniform(0.9, 2.8, count)
    speed = 1 / random.uniform(2.0, 8.0, count)
    shocks = random.normal(0.0, 0.12, (weeks, count))
    decline, mood = np.empty((weeks, count)), np.empty((weeks, count))
    declining = random.random(count) < 0.05
    level, feeling = depth * declining, random.normal(0.0, 0.28, count)
    for week in range(weeks):
        declining = (declining & ~ends[week]) | begins[week]
        level = level + speed * (depth * declining - level)
        feeling = 0.9 * feeling + shocks[week]
        decline[week], mood[week] = level, feeling
    return decline.T, mood.T


def _draw_changes(
    random: np.random.Generator, customers: Customers, decline: Floats, calendar: Calendar
) -> tuple[Floats, Integers]:
    """Draw at most one change of plan for each: days [customers], infinite for none, and the plan after it."""
    shape = len(customers), calendar.weeks
    down = random.random(shape) < 0.0015 * np.exp(-0.9 * decline)
    changes = (down | (random.random(shape) < 0.002)) & (calendar.week_starts > customers.joined[:, None])
    week = changes.argmax(axis=1)
    rows = np.arange(len(customers))
    plan = np.clip(customers.plan + np.where(down[rows, week], -1, 1), 0, len(PLANS) - 1)
    happens = changes.any(axis=1) & (plan != customers.plan)
    changed = np.floor((7.0 * week + 7.0 * random.random(len(customers))) * 86_400) / 86_400
    return np.where(happens & (changed < calendar.days), changed, _NEVER), np.where(happens, plan, customers.plan)


def _since(weeks: Floats, day: Floats, fading_weeks: float) -> Floats:
    """Give 1 in the week of a day, fading after it, and 0 before: [customers, weeks]."""
    passed = weeks - day[:, None] + 7
    return np.where(passed >= 0, np.exp(-np.maximum(passed, 0.0) / (7 * fading_weeks)), 0.0)


def _anniversary(ages: Floats) -> Floats:
    """Give the log hazard of those who pay by the year: they go when the year ends, seldom in between."""
    to_end = -ages / 7 % _WEEKS_PER_YEAR
    return np.where((to_end < 4) & (ages > 180), 2.8, -2.2)


def _lag(values: Floats, weeks: int = 2) -> Floats:
    lagged = np.zeros_like(values)
    lagged[:, weeks:] = values[:, :-weeks]
    return lagged


def _recent(counts: Integers, kept: float) -> Floats:
    """Sum what happened up to the week before, each week worth `kept` of the next: [customers, weeks]."""
    sums = np.zeros(counts.shape)
    for week in range(1, counts.shape[1]):
        sums[:, week] = kept * (sums[:, week - 1] + counts[:, week - 1])
    return sums
