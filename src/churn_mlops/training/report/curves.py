"""The curves that show how well customers are ranked and how true their probabilities are, as points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from churn_mlops.models.metrics import CALIBRATION_BINS, ScoreCounts

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MOST_POINTS: Final = 400
"""A curve through more distinct scores than this is drawn through that many of them, evenly spaced in the ranking."""

_Z: Final = 1.959963984540054
"""97.5th percentile of the normal distribution, for 95 % intervals."""


@dataclass(frozen=True)
class Ranking:
    """What is found when customers are gone through from the highest probability down; float64 [points] each.

    Attributes:
        score: the lowest probability gone through so far; infinite at the start, before anyone.
        contacted_share: share of all customers gone through.
        true_positive_rate: share of the churners found (recall, cumulative gain).
        false_positive_rate: share of the stayers gone through.
        precision: share of churners among those gone through; at the start that of the first score.
        best_share: share of churners among all: what a perfect ranking has gone through when it has found all.
    """

    score: Floats
    contacted_share: Floats
    true_positive_rate: Floats
    false_positive_rate: Floats
    precision: Floats
    best_share: float

    @property
    def lift(self) -> Floats:
        """Churn rate among those gone through, over that of all."""
        return self.precision / self.best_share

    def at(self, threshold: float) -> int:
        """Find the point at which everyone with at least this probability was gone through."""
        return int(np.flatnonzero(self.score >= threshold)[-1])


def trace_ranking(counts: ScoreCounts) -> Ranking:
    """Follow the ranking through the distinct scores, customers with equal scores together."""
    left, stayed = np.cumsum(counts.churned), np.cumsum(counts.stayed)
    kept = _thin(left + stayed)
    left, stayed = left[kept], stayed[kept]
    churners, stayers = counts.churned.sum(), counts.stayed.sum()
    precision = left / (left + stayed)
    return Ranking(
        score=np.concatenate([[np.inf], counts.scores[kept]]),
        contacted_share=np.concatenate([[0], (left + stayed) / (churners + stayers)]),
        true_positive_rate=np.concatenate([[0], left / churners]),
        false_positive_rate=np.concatenate([[0], stayed / stayers]),
        precision=np.concatenate([precision[:1], precision]),
        best_share=float(churners / (churners + stayers)),
    )


class CalibrationBins(NamedTuple):
    """Ten bins of equally many customers, from the lowest probability up; float64 [bins] each.

    Attributes:
        predicted: mean probability.
        observed: share who left.
        low: lower end of the 95 % interval of `observed` (Wilson 1927).
        high: upper end.
        customers: how many there are.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    customers: Floats


def bin_calibration(counts: ScoreCounts) -> CalibrationBins:
    """Compare predicted with observed churn rates over the bins of the calibration error."""
    bins = counts.calibration_bins()
    every = counts.churned + counts.stayed
    customers, churned, predicted = (
        np.bincount(bins, weights, CALIBRATION_BINS)[::-1].astype(np.float64)
        for weights in (every, counts.churned, every * counts.scores)
    )
    filled = customers > 0  # many equal scores can leave a bin empty
    customers, churned, predicted = customers[filled], churned[filled], predicted[filled]
    low, high = wilson_interval(churned, customers)
    return CalibrationBins(predicted / customers, churned / customers, low, high, customers)


def wilson_interval(churned: Floats, customers: Floats) -> tuple[Floats, Floats]:
    """Compute the 95 % score interval of a share (Wilson 1927)."""
    share, square = churned / customers, _Z**2
    middle = (share + square / (2 * customers)) / (1 + square / customers)
    half = _Z / (1 + square / customers) * np.sqrt(share * (1 - share) / customers + square / (4 * customers**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _thin(gone_through: Floats) -> npt.NDArray[np.intp]:
    """Choose the scores nearest to evenly spaced places in the ranking, the first and the last among them."""
    if len(gone_through) <= MOST_POINTS:
        return np.arange(len(gone_through))
    places = np.linspace(gone_through[0], gone_through[-1], MOST_POINTS)
    return np.unique(np.searchsorted(gone_through, places))
