"""What a training job tells of its progress; who watches decides how to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work that is about to begin.

    Attributes:
        name: what is done, in words.
        number: its place, from 1.
        total: how many steps the job has.
    """

    name: str
    number: int
    total: int


Observer = Callable[[Step], None]


@dataclass
class Steps:
    """Counts the steps of a job as they begin.

    Attributes:
        observe: told of every one.
        total: how many there are going to be.
        number: of the present one.
        name: of the present one.
    """

    observe: Observer
    total: int
    number: int = 0
    name: str = ""

    def begin(self, name: str) -> None:
        """Begin the next step."""
        self.number += 1
        self.name = name
        self.observe(Step(name, self.number, self.total))

    def detail(self, name: str) -> None:
        """Say what the present step goes on with."""
        self.observe(Step(f"{self.name}: {name}", self.number, self.total))
