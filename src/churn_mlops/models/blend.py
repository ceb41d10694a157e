"""The blend: a weighted average of candidates in log-odds, with weights fitted on rows they never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator

from churn_mlops.models.folds import fit_clone

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]


class Blend(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Averages the log-odds of its members.

    Args:
        members: unfitted models, by family.
        weights: their weights, by family; not negative, summing to 1.
    """

    def __init__(self, members: Mapping[str, Any], weights: Mapping[str, float]) -> None:
        self.members = members
        self.weights = weights

    def fit(self, matrix: Floats, churned: npt.NDArray[np.bool_], groups: pd.Series | None = None) -> Self:
        """Fit every member on encoded customers, float64 [rows, features], and outcomes, bool [rows].

        Rows of one of the `groups`, [rows], are held out together.
        """
        self.members_ = {name: fit_clone(member, matrix, churned, groups) for name, member in self.members.items()}
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give log-odds, float64 [rows]."""
        parts = [self.weights[name] * member.decision_function(matrix) for name, member in self.members_.items()]
        log_odds: Floats = np.sum(parts, axis=0)
        return log_odds


def fit_weights(log_odds: Floats, churned: npt.NDArray[np.bool_]) -> Floats:
    """Find the average with the lowest log loss.

    Args:
        log_odds: float64 [rows, models], out of fold.
        churned: bool [rows].

    Returns:
        float64 [models], not negative, summing to 1.
    """
    outcome = churned.astype(np.float64)

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = log_odds @ weights
        gradient = log_odds.T @ (1 / (1 + np.exp(-z)) - outcome)
        return float(np.logaddexp(0, z).sum() - outcome @ z) / len(z), gradient / len(z)

    models = log_odds.shape[1]
    found = minimize(
        loss,
        np.full(models, 1 / models),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    )
    weights = np.clip(found.x, 0, 1).round(3)
    return np.asarray(weights / weights.sum(), dtype=np.float64)
