"""Draws the customers of a sample log: what they bought, where and when they joined, and what habits they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.calendar import SECONDS_PER_DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from churn_mlops.data.event_sample.calendar import Calendar

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Booleans = NDArray[np.bool_]

PLANS: Final = ("basic", "standard", "premium")
PLAN_PRICES: Final = np.array([9.99, 14.99, 24.99])
CHANNELS: Final = ("organic", "search", "social", "partner")
COUNTRIES: Final = ("US", "GB", "DE", "FR", "BR", "JP")
PRICE_RISE: Final = 1.2

_PLAN_SHARES: Final = (0.45, 0.38, 0.17)
_CHANNEL_SHARES: Final = (0.35, 0.3, 0.22, 0.13)
_COUNTRY_SHARES: Final = (0.34, 0.2, 0.17, 0.12, 0.1, 0.07)
_COUNTRY_PRICES: Final = np.array([1.0, 1.0, 1.0, 1.0, 0.7, 1.1])
_UTC_OFFSETS: Final = np.array([-6, 0, 1, 1, -3, 9])
_ANNUAL: Final = 0.25
_JOINED_BEFORE: Final = 0.45
_ANNUAL_MONTHS: Final = 10.0
_UNKNOWN_CHANNEL: Final = 0.04
_RHYTHM_SHARES: Final = (0.4, 0.45, 0.15)


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers as arrays, a place for each: [customers].

    Attributes:
        joined: day of joining, counted from the log's first; negative where that was earlier.
        plan: place in `PLANS`, at first.
        country: place in `COUNTRIES`.
        channel: place in `CHANNELS`; -1 where nobody knows.
        annual: pays by the year, for ten months' price; else by the month.
        price: what a bill is over, at first.
        rise_day: day from which a bill is `PRICE_RISE` times as high; infinite where it never is.
        sensitive: minds the rise.
        rhythm: place in the list of weekly rhythms.
        shift_hours: from the rhythm's hours to this customer's in UTC.
        log_rate: log of the sessions in a usual week.
        frailty: log of the hazard that nothing in the log tells of.
        card_risk: probability that a bill cannot be collected at first.
    """

    joined: Floats
    plan: Integers
    country: Integers
    channel: Integers
    annual: Booleans
    price: Floats
    rise_day: Floats
    sensitive: Booleans
    rhythm: Integers
    shift_hours: Integers
    log_rate: Floats
    frailty: Floats
    card_risk: Floats

    def __len__(self) -> int:
        return len(self.joined)


def draw_customers(random: np.random.Generator, count: int, calendar: Calendar) -> Customers:
    """Draw customers; nearly half joined before the log begins, the others at a slowly growing pace."""
    before = -random.exponential(330.0, count)
    during = (calendar.days - 1) * random.random(count) ** 0.85
    joined = np.where(random.random(count) < _JOINED_BEFORE, before, during)
    joined = np.floor(joined * SECONDS_PER_DAY) / SECONDS_PER_DAY
    plan = random.choice(len(PLANS), count, p=_PLAN_SHARES)
    country = random.choice(len(COUNTRIES), count, p=_COUNTRY_SHARES)
    channel = random.choice(len(CHANNELS), count, p=_CHANNEL_SHARES)
    annual = random.random(count) < _ANNUAL
    promoted = np.where(random.random(count) < 0.15, 0.8, 1.0)
    newcomer = np.where(joined >= calendar.rise_day, PRICE_RISE, 1.0)
    months = np.where(annual, _ANNUAL_MONTHS, 1.0)
    price = np.round(PLAN_PRICES[plan] * _COUNTRY_PRICES[country] * promoted * newcomer * months, 2)
    return Customers(
        joined=joined,
        plan=plan,
        country=country,
        channel=np.where(random.random(count) < _UNKNOWN_CHANNEL, -1, channel),
        annual=annual,
        price=price,
        rise_day=np.where(annual | (joined >= calendar.rise_day), np.inf, float(calendar.rise_day)),
        sensitive=random.random(count) < np.where(plan == 0, 0.45, 0.25),
        rhythm=random.choice(len(_RHYTHM_SHARES), count, p=_RHYTHM_SHARES),
        shift_hours=np.round(random.normal(0.0, 1.2, count)).astype(np.int64) - _UTC_OFFSETS[country],
        log_rate=random.normal(0.7, 0.75, count) + 0.25 * plan,
        frailty=random.normal(0.0, 0.4, count),
        card_risk=random.beta(0.9, 22.0, count),
    )
