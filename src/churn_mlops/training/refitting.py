"""The same model fitted again on other rows, and which rows of a large table are evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from churn_mlops.models.folds import fit_clone, group_rows

if TYPE_CHECKING:
    from churn_mlops.data.table import CustomerTable

Rows = npt.NDArray[np.intp]
FitPredict = Callable[[Rows, Rows], npt.NDArray[np.float64]]
"""Fits on the training rows (int positions) and gives the churn probability of each test row, float64 [test]."""

FEWEST_SAMPLED: Final = 500
"""A sample has at least so many customers of the rarer outcome, if there are: fewer could not tell two models apart."""


def refit(estimator: Any, table: CustomerTable) -> FitPredict:
    """Give the function that fits a clone of an estimator on some rows of a table and scores others."""

    def fit_predict(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        fitted = fit_rows(estimator, table, train)
        probability: npt.NDArray[np.float64] = fitted.predict_proba(table.features.iloc[test])[:, 1]
        return probability

    return fit_predict


def fit_rows(estimator: Any, table: CustomerTable, rows: Rows | npt.NDArray[np.bool_]) -> Any:
    """Fit a clone of an estimator on some rows of a table; what it holds out of them, it holds out by customer."""
    ids = None if table.customer_ids is None else table.customer_ids.iloc[rows]
    return fit_clone(estimator, table.features.iloc[rows].reset_index(drop=True), table.churned[rows], ids)


def keep_together(table: CustomerTable) -> Rows:
    """Number what must not be parted, int [rows]: rows with equal features, and rows of one customer."""
    return group_rows(table.features, table.customer_ids)


def sample_rows(table: CustomerTable, most: int, seed: int) -> Rows:
    """Give the rows to evaluate on, ascending: all, or whole groups drawn at random, up to `most` rows.

    Every group's place in the draw hangs on the seed and on where its first row stands, and on nothing else: with
    columns or further rows added to the table, another training draws the same customers, so that the two versions can
    be compared on them.
    """
    if len(table.churned) <= most:
        return np.arange(len(table.churned))
    kept_together = keep_together(table)
    _, first, sizes = np.unique(kept_together, return_index=True, return_counts=True)
    order = np.argsort(np.random.default_rng(seed).random(len(kept_together))[first])
    churners = np.bincount(kept_together, table.churned)[order]
    rows = np.cumsum(sizes[order])
    rarer = np.minimum(np.cumsum(churners), rows - np.cumsum(churners))
    is_drawn = np.empty(len(sizes), dtype=bool)
    is_drawn[order] = (rows <= most) | (np.append(0, rarer[:-1]) < FEWEST_SAMPLED)
    return np.flatnonzero(is_drawn[kept_together])
