"""How good churn probabilities are: ranking, probability and calibration metrics with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CALIBRATION_BINS: Final = 10
LIFT_SHARE: Final = 0.10
RESAMPLED_SCORES: Final = 10_000
"""Of more distinct scores, neighbours are resampled together: on 100,000 that takes a thirtieth of the time, and moved
the ends of the intervals by less than a tenth of their width, the luck of the draws included."""

SMALLEST_PROBABILITY: Final = 1e-15
"""Probabilities are kept this far from 0 and 1 before a logarithm, as in scikit-learn's log loss."""


class Metrics(NamedTuple):
    """The six metrics of a churn model.

    Attributes:
        roc_auc: probability that a churner is scored above a stayer; .5 is chance.
        average_precision: area under the precision-recall steps; the base rate is chance.
        log_loss: mean negative log-likelihood, in nats; lower is better.
        brier: mean squared error of the probability; lower is better.
        calibration_error: mean absolute gap between predicted and observed churn rate over ten bins of equally many
            customers (Naeini et al. 2015, with equal-mass bins); 0 is perfect.
        lift_at_10: churn rate among the 10 % scored highest, over the base rate; 1 is chance.
    """

    roc_auc: float
    average_precision: float
    log_loss: float
    brier: float
    calibration_error: float
    lift_at_10: float


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class ScoreCounts:
    """Predictions in the form in which every metric is a short sum: counts of outcomes by distinct score.

    Attributes:
        scores: float64 [distinct], predicted probabilities, descending.
        churned: float64 [distinct], customers with that score who left.
        stayed: float64 [distinct], customers with that score who stayed.
    """

    scores: Floats
    churned: Floats
    stayed: Floats

    @classmethod
    def count(cls, churned: npt.ArrayLike, probability: npt.ArrayLike) -> ScoreCounts:
        """Count outcomes (bool [rows]) by predicted probability (float [rows])."""
        outcome = np.asarray(churned, dtype=np.float64)
        scores, place = np.unique(-np.asarray(probability, dtype=np.float64), return_inverse=True)
        left = np.bincount(place, outcome, len(scores)).astype(np.float64)
        stayed = np.bincount(place, 1 - outcome, len(scores)).astype(np.float64)
        return cls(-scores, left, stayed)

    def metrics(self) -> Metrics:
        """Compute the six metrics; ties in the score share their places evenly."""
        left, stayed, score = self.churned, self.stayed, self.scores
        customers = left + stayed
        all_left, all_stayed, all_customers = left.sum(), stayed.sum(), customers.sum()
        left_above, above = np.cumsum(left), np.cumsum(customers)
        clipped = np.clip(score, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        gaps = np.bincount(self.calibration_bins(), left - customers * score)
        best = LIFT_SHARE * all_customers
        share_in_best = np.clip((best - (above - customers)) / np.maximum(customers, 1), 0, 1)
        return Metrics(
            roc_auc=float(left @ (all_stayed - np.cumsum(stayed) + stayed / 2) / (all_left * all_stayed)),
            average_precision=float(left @ (left_above / np.maximum(above, 1)) / all_left),
            log_loss=float(-(left @ np.log(clipped) + stayed @ np.log1p(-clipped)) / all_customers),
            brier=float((left @ (1 - score) ** 2 + stayed @ score**2) / all_customers),
            calibration_error=float(np.abs(gaps).sum() / all_customers),
            lift_at_10=float((left @ share_in_best) / best / (all_left / all_customers)),
        )

    def calibration_bins(self) -> npt.NDArray[np.intp]:
        """Put each score, with all its customers, into one of ten bins of equally many; int [distinct], from 0."""
        customers = self.churned + self.stayed
        middle = (np.cumsum(customers) - customers / 2) / customers.sum()  # place in the ranking, 0 to 1
        bins: npt.NDArray[np.intp] = np.minimum((CALIBRATION_BINS * middle).astype(np.intp), CALIBRATION_BINS - 1)
        return bins

    def merge(self, most: int) -> ScoreCounts:
        """Merge neighbouring scores, to their mean over customers, until there are at most so many."""
        if len(self.scores) <= most:
            return self
        customers = self.churned + self.stayed
        middle = (np.cumsum(customers) - customers / 2) / customers.sum()  # place in the ranking, 0 to 1
        _, place = np.unique((most * middle).astype(np.intp), return_inverse=True)
        churned, stayed, total = (
            np.bincount(place, weights).astype(np.float64)
            for weights in (self.churned, self.stayed, customers * self.scores)
        )
        return ScoreCounts(total / (churned + stayed), churned, stayed)

    def intervals(self, resamples: int, seed: int) -> dict[str, Interval]:
        """Compute a 95 % bootstrap interval for each metric.

        Customers are drawn with replacement (Efron 1979). The percentiles are taken after shifting the resampled
        figures to have the observed one as their median: resampling inflates the calibration error, whose plain
        percentile interval would often not hold the figure itself. Ends are kept within what the metric can be. Beyond
        `RESAMPLED_SCORES` distinct scores, neighbours are taken as one, with their mean.

        Args:
            resamples: how many times to draw.
            seed: seeds the draws.
        """
        random = np.random.default_rng(seed)
        merged = self.merge(RESAMPLED_SCORES)
        cells = np.concatenate([merged.churned, merged.stayed])
        draws = (random.multinomial(int(cells.sum()), cells / cells.sum()).astype(np.float64) for _ in range(resamples))
        drawn = [ScoreCounts(merged.scores, *np.split(draw, 2)).metrics() for draw in draws]
        observed = np.array(self.metrics())
        resampled = np.array(drawn) - np.median(drawn, axis=0) + observed
        low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
        largest = np.array([1, 1, np.inf, 1, 1, np.inf])
        ends = zip(np.maximum(low, 0), np.minimum(high, largest), strict=True)
        return {name: Interval(float(a), float(b)) for name, (a, b) in zip(Metrics._fields, ends, strict=True)}


def no_skill(base_rate: float) -> Metrics:
    """Compute what giving everyone the base rate scores: the floor under every model."""
    entropy = -(base_rate * np.log(base_rate) + (1 - base_rate) * np.log1p(-base_rate))
    return Metrics(0.5, base_rate, float(entropy), base_rate * (1 - base_rate), 0.0, 1.0)
