"""What a training job tells of its progress; who watches decides how to show it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_TRUST: Final = 0.1
"""Share of the expected time that what was expected is worth: once as much is behind, what it took counts the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work that is about to begin.

    Attributes:
        name: what is done, in words.
        number: its place, from 1.
        total: how many steps the job has.
        seconds_left: what the job is expected to take from here on; None where that is not known.
    """

    name: str
    number: int
    total: int
    seconds_left: float | None = None


Observer = Callable[[Step], None]


@dataclass
class Steps:
    """Counts the steps of a job as they begin, and says how long the rest will take.

    What the steps were expected to take is corrected by what those that are over took in fact, the more so the more of
    them there are: a first second that took three does not triple an hour.

    Attributes:
        observe: told of every one.
        expected_seconds: of each step of the job, in order; all 0 while nothing is known.
        number: of the present one.
        name: of the present one.
        now: the clock, in seconds.
    """

    observe: Observer
    expected_seconds: list[float]
    number: int = 0
    name: str = ""
    now: Callable[[], float] = time.monotonic
    _began: float | None = field(default=None, init=False)
    _expected: float = field(default=0.0, init=False)
    _taken: float = field(default=0.0, init=False)

    def begin(self, name: str) -> None:
        """Begin the next step."""
        self._end()
        self.number += 1
        self.name = name
        self._began = self.now()
        self._tell(name)

    def detail(self, name: str) -> None:
        """Say what the present step goes on with."""
        self._tell(f"{self.name}: {name}")

    def expect(self, seconds: list[float]) -> None:
        """Replace what is expected of all steps after the present one; what was learnt of their pace is forgotten."""
        self.expected_seconds[self.number :] = seconds
        self._began, self._expected, self._taken = None, 0.0, 0.0

    def skip_to(self, number: int) -> None:
        """Leave out the rest of the present step and all up to this number; the next to begin is the one after it."""
        self._began = None
        self.number = number

    def _end(self) -> None:
        if self._began is not None:
            self._expected += self.expected_seconds[self.number - 1]
            self._taken += self.now() - self._began

    def _tell(self, name: str) -> None:
        self.observe(Step(name, self.number, len(self.expected_seconds), self._seconds_left()))

    def _seconds_left(self) -> float | None:
        if not any(self.expected_seconds):
            return None
        present, *later = self.expected_seconds[self.number - 1 :]
        trust = _TRUST * (self._expected + present + sum(later))
        pace = (self._taken + trust) / (self._expected + trust)
        elapsed = 0.0 if self._began is None else self.now() - self._began
        return max(0.0, pace * present - elapsed) + pace * sum(later)
