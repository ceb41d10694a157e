"""The learning curve: how good the model is when fitted on fewer rows, and whether more would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.table import FEWEST_CHURNERS
from churn_mlops.models.folds import outcome_of_groups
from churn_mlops.models.metrics import SMALLEST_PROBABILITY, ScoreCounts
from churn_mlops.registry.manifest import LearningPoint
from churn_mlops.training.refitting import Rows, keep_together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from churn_mlops.data.table import CustomerTable
    from churn_mlops.training.refitting import FitPredict

SHARES: Final = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""The shares of the training rows that the model is fitted on."""

TESTED_FOLDS: Final = 2
"""So many folds are held out, each in turn: all of them would cost more than twice the evaluation itself."""


def measure_learning_curve(
    fit_predict: FitPredict,
    fold: Rows,
    table: CustomerTable,
    observe: Callable[[str], None] = lambda name: None,
    seed: int = 0,
) -> tuple[LearningPoint, ...]:
    """Fit on 1/8, 1/4, 1/2 and all of the training rows, and test each time on the same two held-out folds.

    Each part holds the smaller ones, has the table's churn rate, and keeps together what shares a fold. Parts with
    fewer than 50 churners, or customers who stayed, are left out (rows that share a fold count once).

    Args:
        fit_predict: fits the model on some rows and scores others.
        fold: int [rows], the folds of the main evaluation; below 0 where a row was only fitted on.
        table: the customers.
        observe: told what is fitted before it is.
        seed: draws the parts.
    """
    kept_together = keep_together(table)
    outcome = outcome_of_groups(table.features, table.churned, kept_together)
    tested = range(min(TESTED_FOLDS, int(fold.max()) + 1))
    held_out = [np.flatnonzero(fold == number) for number in tested]
    trained = [np.flatnonzero(fold != number) for number in tested]
    growing = [_GrowingPart.draw(train, kept_together, outcome, seed) for train in trained]
    churned = table.churned[np.concatenate(held_out)]
    points: list[LearningPoint] = []
    loss_before = None
    for share in (share for share in SHARES if min(part.rarer(share) for part in growing) >= FEWEST_CHURNERS):
        parts = [part.take(share) for part in growing]
        observe(f"fitted on {len(parts[0]):,} rows")
        probability = np.concatenate([fit_predict(*split) for split in zip(parts, held_out, strict=True)])
        loss = _log_loss(churned, probability)
        points.append(_measure(parts, churned, probability, None if loss_before is None else loss - loss_before))
        loss_before = loss
    return tuple(points)


def describe_learning_curve(points: Sequence[LearningPoint], sampled_rows: int | None = None) -> str:
    """Say in a sentence whether more rows would help.

    Args:
        points: the learning curve, fewest rows first.
        sampled_rows: how many rows of a large table were looked at; None where it was all of them.
    """
    if len(points) < 2:
        return "there are too few churners to tell whether more rows would help"
    before, last = points[-2:]
    lowered = before.log_loss - last.log_loss
    doubling = f"doubling the rows from {before.customers:,} to {last.customers:,}"
    sample = "" if sampled_rows is None else f" (on the sample of {sampled_rows:,} rows)"
    if lowered > (last.standard_error or 0):
        return f"{doubling} lowered log loss by {lowered:.4f}: more rows would help{sample}"
    found = "lowered log loss by less than its standard error" if lowered > 0 else "did not lower log loss"
    return f"{doubling} {found}: more rows of the same kind would hardly help{sample}"


@dataclass(frozen=True)
class _GrowingPart:
    """Nested parts of the training rows.

    Attributes:
        rows: int [rows], ascending.
        enters_at: float64 [rows], the share from which on a part holds the row.
        groups: int [rows], what stays together.
        churns: bool [rows], the outcome of the row's group.
    """

    rows: Rows
    enters_at: npt.NDArray[np.float64]
    groups: Rows
    churns: npt.NDArray[np.bool_]

    @classmethod
    def draw(cls, rows: Rows, kept_together: Rows, outcome: npt.NDArray[np.bool_], seed: int) -> _GrowingPart:
        """Put the groups of each outcome in a random order, which is the order in which they enter."""
        groups = kept_together[rows]
        sizes = np.bincount(groups, minlength=len(outcome))
        order = np.random.default_rng(seed).permutation(len(outcome))
        enters_at = np.empty(len(outcome))
        for churns in (True, False):
            chosen = order[outcome[order] == churns]
            enters_at[chosen] = np.cumsum(sizes[chosen]) / sizes[chosen].sum()
        return cls(rows, enters_at[groups], groups, outcome[groups])

    def take(self, share: float) -> Rows:
        """Give the rows of the part that is this share of all."""
        return self.rows[self.enters_at <= share]

    def rarer(self, share: float) -> int:
        """Count the groups of the rarer outcome in a part: each has a row that differs from all others."""
        part = self.enters_at <= share
        churners = len(np.unique(self.groups[part & self.churns]))
        return min(churners, len(np.unique(self.groups[part])) - churners)


def _measure(
    parts: Sequence[Rows],
    churned: npt.NDArray[np.bool_],
    probability: npt.NDArray[np.float64],
    difference: npt.NDArray[np.float64] | None,
) -> LearningPoint:
    figures = ScoreCounts.count(churned, probability).metrics()
    return LearningPoint(
        customers=round(sum(map(len, parts)) / len(parts)),
        roc_auc=figures.roc_auc,
        log_loss=figures.log_loss,
        standard_error=None if difference is None else float(difference.std(ddof=1) / np.sqrt(len(difference))),
    )


def _log_loss(churned: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    of_outcome = np.where(churned, probability, 1 - probability)
    loss: npt.NDArray[np.float64] = -np.log(np.clip(of_outcome, SMALLEST_PROBABILITY, 1))
    return loss
