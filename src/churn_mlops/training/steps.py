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
