"""Calibration: from a model's log-odds to probabilities that come true, fitted on scores of rows it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

_PRIOR: Final = 1.0
"""Strength of the pull towards no calibration, in log-likelihood: it decides only where there is next to no data."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of log-odds z: `b * softplus(z) - a * softplus(-z) + c`.

    This is beta calibration (Kull, Silva Filho and Flach 2017) written in log-odds: with p = sigmoid(z) it equals
    `a * log(p) - b * log(1 - p) + c`. With a = b it is Platt's (1999) sigmoid `a * z + c`; a = b = 1 and c = 0
    leave z as it is.

    Attributes:
        kind: none, sigmoid or beta.
        a: slope where the churn probability is low; positive.
        b: slope where it is high; positive.
        c: offset.
    """

    kind: Literal["none", "sigmoid", "beta"] = "none"
    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def apply(self, log_odds: Floats) -> Floats:
        """Calibrate log-odds, float64 of any shape, to log-odds."""
        if self.a == self.b:
            return self.a * log_odds + self.c
        return self.b * np.logaddexp(0, log_odds) - self.a * np.logaddexp(0, -log_odds) + self.c


def fit_calibration(kind: Literal["none", "sigmoid", "beta"], log_odds: Floats, churned: Bools) -> Calibration:
    """Fit a calibration by maximum likelihood.

    Args:
        kind: which one.
        log_odds: float64 [rows], of rows that the model was not fitted on.
        churned: bool [rows].
    """
    if kind == "none":
        return Calibration()
    outcome = churned.astype(np.float64)
    low, high = -np.logaddexp(0, -log_odds), np.logaddexp(0, log_odds)

    def loss(logs: Floats) -> tuple[float, Floats]:
        a, b = np.exp(logs[0]), np.exp(logs[-2])
        z = a * low + b * high + logs[-1]
        residual = 1 / (1 + np.exp(-z)) - outcome
        slopes = np.array([a * (residual @ low), b * (residual @ high)])
        gradient = np.append(slopes if kind == "beta" else slopes.sum(), residual.sum())
        value = np.logaddexp(0, z).sum() - outcome @ z + _PRIOR * logs @ logs
        return float(value), gradient + 2 * _PRIOR * logs

    # imported here, since it takes half a second that no one who only applies a calibration should wait for
    from scipy.optimize import minimize

    logs = minimize(loss, np.zeros(3 if kind == "beta" else 2), jac=True, method="L-BFGS-B").x
    return Calibration(kind, float(np.exp(logs[0])), float(np.exp(logs[-2])), float(logs[-1]))


def choose_calibration(log_odds: Floats, churned: Bools, fold: npt.NDArray[np.intp]) -> tuple[Calibration, Floats]:
    """Choose the calibration with the lowest log loss on rows it was not fitted on; none, unless one is lower.

    Args:
        log_odds: float64 [rows], out of fold.
        churned: bool [rows].
        fold: int [rows]; a fold's rows are calibrated by what the other folds' scores teach.

    Returns:
        The calibration, fitted on all rows, and the log-odds calibrated fold by fold, float64 [rows].
    """
    kinds: tuple[Literal["none", "sigmoid", "beta"], ...] = ("none", "sigmoid", "beta")
    calibrated = {kind: _cross_calibrate(kind, log_odds, churned, fold) for kind in kinds}
    best = min(kinds, key=lambda kind: mean_log_loss(calibrated[kind], churned))
    return fit_calibration(best, log_odds, churned), calibrated[best]


def mean_log_loss(log_odds: Floats, churned: Bools) -> float:
    """Compute the mean log loss, in nats, of log-odds, float64 [rows]."""
    return float(losses(log_odds, churned).mean())


def losses(log_odds: Floats, churned: Bools) -> Floats:
    """Compute the log loss of every row, in nats, float64 [rows]."""
    return np.logaddexp(0, np.where(churned, -log_odds, log_odds))


def _cross_calibrate(
    kind: Literal["none", "sigmoid", "beta"], log_odds: Floats, churned: Bools, fold: npt.NDArray[np.intp]
) -> Floats:
    calibrated = np.empty_like(log_odds)
    for number in range(int(fold.max()) + 1):
        others, here = fold != number, fold == number
        calibrated[here] = fit_calibration(kind, log_odds[others], churned[others]).apply(log_odds[here])
    return calibrated
