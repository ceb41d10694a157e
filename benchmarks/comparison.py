"""Two things timed in turn, round by round, so that a machine whose speed drifts does not decide."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Comparison:
    """A figure of ours beside another one.

    Attributes:
        name: what was measured.
        unit: of both figures.
        ours: median over the rounds.
        other: median over the rounds.
        beside: what the other one is.
        ratio: median of the rounds' ratios, ours over other.
    """

    name: str
    unit: str
    ours: float
    other: float
    beside: str
    ratio: float


def compare(
    name: str, unit: str, ours: Callable[[], float], other: Callable[[], float], beside: str, rounds: int
) -> Comparison:
    """Take both figures in every round, ours first, after one round that does not count."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(rounds)]
    return Comparison(
        name,
        unit,
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        beside,
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )
