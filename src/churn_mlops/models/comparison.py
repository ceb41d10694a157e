"""Compares two sets of churn probabilities on the same customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from churn_mlops.models.metrics import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NORMAL_95: Final = 1.959964
"""Standard errors from the mean to either end of a 95 % interval."""


class Improvement(NamedTuple):
    """By how much one log loss is below another, in nats, with its 95 % interval; above 0 is better."""

    value: float
    low: float
    high: float


def improve_log_loss(churned: npt.NDArray[np.bool_], probability: Floats, reference: Floats) -> Improvement:
    """Say by how much the log loss of `probability` is below that of `reference`.

    The interval is the normal one of the mean of the differences, customer by customer: what is hard about a customer
    is hard for both and cancels, so it is far narrower than those of the two log losses. All are arrays [rows].
    """
    difference = _log_losses(churned, reference) - _log_losses(churned, probability)
    value = float(difference.mean())
    reach = _NORMAL_95 * float(difference.std(ddof=1)) / float(np.sqrt(len(difference)))
    return Improvement(value, value - reach, value + reach)


def _log_losses(churned: npt.NDArray[np.bool_], probability: Floats) -> Floats:
    of_outcome = np.where(churned, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(of_outcome, SMALLEST_PROBABILITY, 1)), dtype=np.float64)
