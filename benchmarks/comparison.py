"""Things measured in turn, round by round, so that a machine whose speed drifts does not decide."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Measured = TypeVar("Measured")


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
        wanted: what the ratio should be, in words; empty where nothing is asked of it.
    """

    name: str
    unit: str
    ours: float
    other: float
    beside: str
    ratio: float
    wanted: str = ""


def compare(
    name: str, unit: str, ours: Callable[[], float], other: Callable[[], float], beside: str, rounds: int
) -> Comparison:
    """Take both figures in every round, ours first, after one round that does not count."""
    return summarise(name, unit, take_in_turn([ours, other], rounds), beside)


def take_in_turn(measures: Sequence[Callable[[], Measured]], rounds: int) -> list[list[Measured]]:
    """Take every measure in every round, in their order, after one round that does not count."""
    return [[measure() for measure in measures] for _ in range(rounds + 1)][1:]


def summarise(name: str, unit: str, rounds: Sequence[Sequence[float]], beside: str, wanted: str = "") -> Comparison:
    """Compare the two figures of each round."""
    return Comparison(
        name,
        unit,
        statistics.median(ours for ours, _ in rounds),
        statistics.median(other for _, other in rounds),
        beside,
        statistics.median(ours / other for ours, other in rounds),
        wanted,
    )
