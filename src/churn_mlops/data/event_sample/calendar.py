"""The time that a sample log covers: its weeks, its seasons, the price rise and the bad weeks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

END: Final = np.datetime64("2025-01-01T00:00:00", "s")
"""Every log ends here, UTC, and begins `days` earlier: whatever is written, and whenever, lies in the past."""

FEWEST_DAYS: Final = 180
MOST_DAYS: Final = 3650
SECONDS_PER_DAY: Final = 86_400
_RISE_AFTER: Final = 0.6
_SEASON: Final = 0.18
_BAD_WEEKS: Final = 0.05


@dataclass(frozen=True)
class Calendar:
    """The days of a log, counted from its first, in weeks of which the last may be cut.

    Attributes:
        days: how many.
        seed: draws the weeks in which the service fails.
    """

    days: int
    seed: int

    @property
    def start(self) -> np.datetime64:
        """The first moment, UTC, to the second."""
        return END - np.timedelta64(self.days, "D")

    @property
    def weeks(self) -> int:
        """How many weeks there are, a cut one included."""
        return -(-self.days // 7)

    @property
    def start_weekday(self) -> int:
        """The first day's place in its week, Monday being 0."""
        return (int(self.start.astype("datetime64[D]").astype(np.int64)) + 3) % 7  # 1970-01-01 was a Thursday

    @property
    def rise_day(self) -> int:
        """The day on which prices rise."""
        return round(_RISE_AFTER * self.days)

    @cached_property
    def week_starts(self) -> Floats:
        """The day on which each week begins: [weeks]."""
        return np.arange(self.weeks, dtype=np.float64) * 7

    @cached_property
    def season(self) -> Floats:
        """Log of how busy each week is: low in summer, lowest between the years: [weeks]."""
        middles = self.start + ((self.week_starts + 3.5) * SECONDS_PER_DAY).astype("timedelta64[s]")
        day_of_year = (middles - middles.astype("datetime64[Y]")) / np.timedelta64(1, "D")
        wave = _SEASON * np.cos(2 * np.pi * (day_of_year - 30) / 365.25)
        to_holidays = np.abs((day_of_year + 4 + 182.6) % 365.25 - 182.6)  # which are around 28 December
        return np.asarray(wave - 0.4 * (to_holidays < 7))

    @cached_property
    def is_bad(self) -> NDArray[np.bool_]:
        """Whether the service failed in a week, which brings tickets: [weeks]."""
        return np.random.default_rng((self.seed, self.weeks)).random(self.weeks) < _BAD_WEEKS


def to_seconds(days: Floats) -> NDArray[np.int64]:
    """Turn days since the log's start, all finite, into whole seconds."""
    return np.rint(days * SECONDS_PER_DAY).astype(np.int64)
