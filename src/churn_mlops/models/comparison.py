"""Compares two sets of churn probabilities on the same customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from churn_mlops.models.metrics import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NORMAL_95: Final = 1.959964
"""Standard errors from the mean to either end of a 95 % interval."""


class Improvement(NamedTuple):
    """By how much one log loss is below another, in nats, with its 95 % interval; above 0 is better."""

    value: float
    low: float
    high: float


def improve_log_loss(
    churned: npt.NDArray[np.bool_],
    probability: Floats,
    reference: Floats,
    folds: Sequence[npt.NDArray[np.intp]] = (),
) -> Improvement:
    """Say by how much the log loss of `probability` is below that of `reference`.

    The interval is the normal one of the mean of the differences, customer by customer: what is hard about a customer
    is hard for both and cancels, so it is far narrower than those of the two log losses. But customers who were held
    out in one fold share a model, and with it the luck of how folds were dealt: where the variances between the folds
    (those of clusters, Liang and Zeger 1986) add up to more than that between customers, they are what counts. Without
    this, one in ten of equally good models that were merely dealt other folds would be found worse; with it, 4 %.

    Args:
        churned: bool [rows].
        probability: float64 [rows].
        reference: float64 [rows].
        folds: int [rows] each, in which either held a customer out; below 0 for a customer it was not trained on.
    """
    difference = _log_losses(churned, reference) - _log_losses(churned, probability)
    value = float(difference.mean())
    deviation = difference - value
    between_folds = sum(_clustered_variance(deviation, fold) for fold in folds if (fold >= 0).any())
    reach = _NORMAL_95 * float(np.sqrt(max(_variance(deviation), between_folds)))
    return Improvement(value, value - reach, value + reach)


def _variance(deviation: Floats) -> float:
    """Variance of a mean, from the deviations from it."""
    return float((deviation**2).sum()) / len(deviation) ** 2


def _clustered_variance(deviation: Floats, fold: npt.NDArray[np.intp]) -> float:
    """Variance of a mean whose deviations belong together by fold; a customer in no fold stands alone."""
    by_fold = np.bincount(fold[fold >= 0], deviation[fold >= 0])
    return float((by_fold**2).sum() + (deviation[fold < 0] ** 2).sum()) / len(deviation) ** 2


def _log_losses(churned: npt.NDArray[np.bool_], probability: Floats) -> Floats:
    of_outcome = np.where(churned, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(of_outcome, SMALLEST_PROBABILITY, 1)), dtype=np.float64)
