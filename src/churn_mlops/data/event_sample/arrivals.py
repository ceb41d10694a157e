"""Lets events arrive: most at once, some late, some twice, and with `dirty` some that nobody should believe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.calendar import SECONDS_PER_DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from churn_mlops.data.event_sample.activity import Events
    from churn_mlops.data.event_sample.calendar import Calendar

LATE: Final = 0.08
"""Share of events that come hours late, from devices that were offline."""

VERY_LATE: Final = 0.015
"""Share that come days late, from files of partners."""

REPEATED: Final = 0.004
"""Share of events that stand in the log twice, the same in every column."""

DELIVERED_AGAIN: Final = 0.004
"""Share that come again later under the same event id."""

_LONGEST_DELAY: Final = 30 * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rows of a log in the order in which they arrived: [rows].

    Attributes:
        event: place of the event that each row tells of.
        known: second, counted from the log's start, at which it arrived.
    """

    event: NDArray[np.int64]
    known: NDArray[np.int64]


def draw_arrivals(random: np.random.Generator, events: Events, calendar: Calendar) -> Arrivals:
    """Draw when events arrive, and which twice; what has not arrived by the log's end is not in it."""
    count = len(events)
    delay = random.exponential(12.0, count)
    chance = random.random(count)
    late = np.flatnonzero(chance < LATE + VERY_LATE)
    hours = random.lognormal(1.0, 1.0, len(late))
    delay[late] += np.where(chance[late] < VERY_LATE, random.exponential(3.0, len(late)) * 24 + hours, hours) * 3600
    known = events.second + np.minimum(delay, _LONGEST_DELAY).astype(np.int64)

    twice = np.flatnonzero(random.random(count) < REPEATED + DELIVERED_AGAIN)
    pauses = 1 + random.exponential(3600.0, len(twice)).astype(np.int64)
    again = random.random(len(twice)) < DELIVERED_AGAIN / (REPEATED + DELIVERED_AGAIN)
    event = np.concatenate([np.arange(count), twice])
    known = np.concatenate([known, known[twice] + np.where(again, pauses, 0)])
    # one key that no two rows share: the order is then the same whatever sorts it
    place_bits = max(1, len(event).bit_length())
    keys = np.sort((known << place_bits) | np.arange(len(event)))
    keys = keys[: np.searchsorted(keys, (calendar.days * SECONDS_PER_DAY) << place_bits)]
    return Arrivals(event[keys & ((1 << place_bits) - 1)], keys >> place_bits)
