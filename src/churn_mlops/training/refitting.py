"""The same model fitted again on other rows, and which rows of a large table that is done on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from churn_mlops.models.folds import group_rows

if TYPE_CHECKING:
    from churn_mlops.data.table import CustomerTable

Rows = npt.NDArray[np.intp]
FitPredict = Callable[[Rows, Rows], npt.NDArray[np.float64]]
"""Fits on the training rows (int positions) and gives the churn probability of each test row, float64 [test]."""

LARGEST_SAMPLE: Final = 100_000
"""A table with more rows is fitted again on about so many: enough to see a leak, and not hours of work."""


def refit(estimator: Any, table: CustomerTable) -> FitPredict:
    """Give the function that fits a clone of an estimator on some rows of a table and scores others."""

    def fit_predict(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        fitted = clone(estimator).fit(table.features.iloc[train].reset_index(drop=True), table.churned[train])
        probability: npt.NDArray[np.float64] = fitted.predict_proba(table.features.iloc[test])[:, 1]
        return probability

    return fit_predict


def keep_together(table: CustomerTable) -> Rows:
    """Number what must not be parted, int [rows]: rows with equal features, and rows of one customer."""
    return group_rows(table.features, table.customer_ids)


def sample_rows(kept_together: Rows, seed: int) -> Rows:
    """Give the rows to look at, ascending: all, or whole groups drawn at random up to `LARGEST_SAMPLE` rows."""
    if len(kept_together) <= LARGEST_SAMPLE:
        return np.arange(len(kept_together))
    sizes = np.bincount(kept_together)
    order = np.random.default_rng(seed).permutation(len(sizes))
    drawn = order[np.cumsum(sizes[order]) <= LARGEST_SAMPLE]
    return np.flatnonzero(np.isin(kept_together, drawn))
