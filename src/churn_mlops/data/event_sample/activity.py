"""Turns lives into events: each at its customer's hours, with its type and, where money moves, its amount."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from churn_mlops.data.event_sample.calendar import SECONDS_PER_DAY, to_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Floats
    from churn_mlops.data.event_sample.lives import Lives

TYPES: Final = (
    "login",
    "usage",
    "email_open",
    "purchase",
    "payment",
    "payment_failed",
    "ticket",
    "plan_change",
    "search",
    "referral",
)
_WEEK_HOURS: Final = 168
_CELLS: Final = 8192
_SESSION_SECONDS: Final = 2400


@dataclass(frozen=True, slots=True)
class Events:
    """Events as arrays, in no order: [events].

    Attributes:
        customer: place of the customer, int32.
        second: when, counted from the log's start, int64.
        type: place in `TYPES`, int8.
        amount: of money, float64; NaN where none moves.
    """

    customer: NDArray[np.int32]
    second: NDArray[np.int64]
    type: NDArray[np.int8]
    amount: Floats

    def __len__(self) -> int:
        return len(self.second)

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Keep the rows at some places."""
        return type(self)(*(getattr(self, field.name)[places] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put the rows of several parts one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def draw_events(random: np.random.Generator, customers: Customers, lives: Lives, calendar: Calendar) -> Events:
    """Draw the events of customers from when they join, or the log begins, until they leave, or the log ends."""
    hours = _Hours(random, customers, calendar)
    session_customer, session = hours.spread(random.poisson(lives.rate))
    steps = random.geometric(0.55, len(session))
    usage_customer = np.repeat(session_customer, steps)
    usage = np.repeat(session, steps) + random.integers(20, _SESSION_SECONDS, len(usage_customer))
    searches = random.random(len(usage)) < 0.12

    level = lives.rate / np.exp(customers.log_rate)[:, None]
    bought = hours.spread(random.poisson(0.05 * level))
    paid = lives.bills
    changed = np.flatnonzero(np.isfinite(lives.prices.changed))
    parts = [
        _events("login", session_customer, session),
        _events("usage", usage_customer[~searches], usage[~searches]),
        _events("search", usage_customer[searches], usage[searches]),
        _events("purchase", *bought, np.round(random.lognormal(2.2, 0.7, len(bought[0])), 2)),
        _events("email_open", *hours.spread(random.poisson(0.3 * np.sqrt(level)))),
        _events("ticket", *hours.spread(lives.tickets)),
        _events("referral", *hours.spread(random.poisson(0.008 * level))),
        _events("plan_change", changed, to_seconds(lives.prices.changed[changed])),
    ]
    for name, chosen in (("payment", ~paid.failed), ("payment_failed", paid.failed)):
        parts.append(_events(name, paid.customer[chosen], to_seconds(paid.day[chosen]), paid.amount[chosen]))
    return _within(Events.join(parts), customers, lives, calendar)


class _Hours:
    """Spreads counts of weeks over the hours at which each customer is used to be active."""

    def __init__(self, random: np.random.Generator, customers: Customers, calendar: Calendar) -> None:
        self._random = random
        self._rhythm = customers.rhythm.astype(np.int32)
        self._shift = ((customers.shift_hours - 24 * calendar.start_weekday) % _WEEK_HOURS).astype(np.int32)
        self._weeks = calendar.weeks

    def spread(self, counts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Give customer and second of as many events as the counts [customers, weeks] say, each at random."""
        flat = counts.ravel()
        cells = np.flatnonzero(flat)
        repeated = np.repeat(cells, flat[cells])
        customer = (repeated // self._weeks).astype(np.int32)
        week = repeated - customer.astype(np.int64) * self._weeks
        drawn = self._random.integers(0, _CELLS, len(customer), dtype=np.int32)
        hour = (_rhythms()[self._rhythm[customer], drawn] + self._shift[customer]) % _WEEK_HOURS
        second = self._random.integers(0, 3600, len(customer), dtype=np.int32)
        return customer, (week * (7 * SECONDS_PER_DAY) + hour * 3600 + second).astype(np.int64, copy=False)


@cache
def _rhythms() -> NDArray[np.int32]:
    """Give hours of the week, each as often as customers of a rhythm are active at it: [rhythms, cells].

    The rhythms: in office hours, in the evenings and at weekends, at any time but the night.
    """
    office = _bump(10, 1.8) + 0.8 * _bump(15, 2.0)
    evening = _bump(20.5, 2.0) + 0.15 * _bump(12.5, 1.0)
    of_day = np.stack([office, evening, _bump(14, 5.0)]) + 0.01
    of_weekday = np.array(
        [[1.05, 1.1, 1.1, 1, 0.8, 0.12, 0.1], [1, 0.95, 0.95, 1, 0.9, 1.3, 1.5], [1, 1, 1, 1, 1, 1, 1]]
    )
    density = (of_weekday[:, :, None] * of_day[:, None, :]).reshape(len(of_day), -1)
    reached = density.cumsum(axis=1) / density.sum(axis=1, keepdims=True)
    quantiles = (np.arange(_CELLS) + 0.5) / _CELLS
    return np.stack([np.searchsorted(row, quantiles) for row in reached]).astype(np.int32)


def _bump(hour: float, width: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((np.arange(24) - hour) / width) ** 2))


def _events(
    name: str, customer: NDArray[np.integer], second: NDArray[np.int64], amount: Floats | None = None
) -> Events:
    count = len(second)
    amounts = np.full(count, np.nan) if amount is None else amount
    return Events(customer.astype(np.int32), second, np.full(count, TYPES.index(name), np.int8), amounts)


def _within(events: Events, customers: Customers, lives: Lives, calendar: Calendar) -> Events:
    first = np.maximum(to_seconds(customers.joined), 0)
    last = to_seconds(np.minimum(lives.left, calendar.days))
    return events.take((events.second >= first[events.customer]) & (events.second < last[events.customer]))
