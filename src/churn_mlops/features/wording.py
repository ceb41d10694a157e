"""How features of an event log are put into words: kept with a version, for whatever writes its reasons."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Unit = Literal["events", "days", "share", "ratio", "amount"]

COUNTED: Final[tuple[Unit, ...]] = ("events", "days")
"""Units of which there are so many: the number comes first, and 1 has a singular."""

_LAST_EVENTS: Final = re.compile(r"\bevents\b(?!.*\bevents\b)", re.DOTALL)
"""What is counted stands behind the event type, which may be called events itself."""


class Trend(BaseModel):
    """What a difference of two windows of the same length is a change of.

    Attributes:
        of: the feature that is the later of the two; it less the difference is the earlier one.
        subject: what is counted, in the plural: login events.
        days: length of each window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    subject: str
    days: int


class Wording(BaseModel):
    """How a feature is called and its numbers are written.

    Attributes:
        unit: events and days come before the words ("2 login events in the last 30 days"), all others after them ("mean
            amount so far is 12.5"); shares are written in per cent.
        words: what it is.
        trend: of a change, what changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit
    words: str
    trend: Trend | None = None

    @property
    def words_of_one(self) -> str:
        """The words where there is one: event or day instead of events or days."""
        if self.unit == "days":  # with which the words begin; an event type may hold the word, too
            return self.words.replace("days", "day", 1)
        return _LAST_EVENTS.sub("event", self.words) if self.unit == "events" else self.words
