"""Cross-validation folds that never show a model a row, or a customer, it is then tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold
from sklearn.utils.validation import has_fit_parameter

from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt


class DuplicateGroupedKFold(BaseCrossValidator):  # type: ignore[misc]  # scikit-learn ships no types
    """Stratified folds in which rows with equal features, and rows of one group, always share a fold.

    The customer id is no feature, so rows that are duplicates but for the id are kept together; where customers have
    several rows, their ids are the groups. What has to stay together is dealt out as one with scikit-learn's
    StratifiedKFold, by whether any of its distinct rows is a churner's, each with the target of its first occurrence.

    Args:
        n_splits: number of folds.
        seed: seeds the shuffle; equal seeds give equal folds.
    """

    def __init__(self, n_splits: int = 5, seed: int = 0) -> None:
        self.n_splits = n_splits
        self.seed = seed

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:  # noqa: N803 - scikit-learn's names
        """Number of folds."""
        return self.n_splits

    def split(  # noqa: D102 - inherited
        self,
        X: pd.DataFrame,  # noqa: N803 - scikit-learn's names
        y: npt.ArrayLike,
        groups: pd.Series | None = None,
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        fold = self.assign(X, y, groups)
        for number in range(self.n_splits):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)

    def assign(
        self, features: pd.DataFrame, churned: npt.ArrayLike, groups: pd.Series | None = None
    ) -> npt.NDArray[np.intp]:
        """Give the fold of every row, int [rows] from 0 to n_splits - 1.

        Args:
            features: one row per customer and time.
            churned: bool [rows].
            groups: [rows], whatever must share a fold beside equal features; a missing one binds its row to no other.

        Raises:
            DataError: too few rows differ in their features to give every fold a churner and a stayer.
        """
        kept_together = group_rows(features, groups)
        outcome = outcome_of_groups(features, np.asarray(churned, dtype=bool), kept_together)
        self._require_enough(int(outcome.sum()), int((~outcome).sum()))
        return _deal(outcome, self.n_splits, self.seed)[kept_together]

    def _require_enough(self, left: int, stayed: int) -> None:
        if min(left, stayed) < self.n_splits:
            raise DataError(
                f"Rows with equal features, or of one customer, share a fold, and only {left} different rows of "
                f"churners and {stayed} of customers who stayed are there to deal out to {self.n_splits} folds; add "
                f"columns, or lower training.folds."
            )


def deal_bags(
    matrix: npt.NDArray[np.float64], churned: npt.ArrayLike, most: int, seed: int, groups: pd.Series | None = None
) -> npt.NDArray[np.intp]:
    """Deal encoded rows out to bags, int [rows] from 0; rows with equal features, and rows of one group, share a bag.

    There are at most `most` bags, and no more than what stays together would give both outcomes.

    Args:
        matrix: float64 [rows, features].
        churned: bool [rows].
        most: number of bags at most.
        seed: seeds the shuffle.
        groups: [rows], as for `group_rows`.

    Raises:
        DataError: not even two bags can have a churner and a stayer each.
    """
    frame = pd.DataFrame(matrix)
    kept_together = group_rows(frame, groups)
    outcome = outcome_of_groups(frame, np.asarray(churned, dtype=bool), kept_together)
    left, stayed = int(outcome.sum()), int((~outcome).sum())
    if min(left, stayed) < 2:
        raise DataError(
            f"To be tuned, or stopped early, a model holds rows out of its training, and those with equal features, or "
            f"of one customer, together; only {left} different rows of churners and {stayed} of customers who stayed "
            f"are there, and of either, two are needed."
        )
    return _deal(outcome, max(2, min(most, left, stayed)), seed)[kept_together]


def fit_clone(model: Any, rows: Any, churned: npt.NDArray[np.bool_], groups: pd.Series | None = None) -> Any:
    """Fit a clone of a model; one that holds rows out by itself is told which belong together.

    Args:
        model: with scikit-learn's `fit`, which takes `groups` if the model holds rows out.
        rows: what it is fitted on, a frame or a matrix.
        churned: bool [rows].
        groups: [rows], as for `group_rows`.
    """
    told = {"groups": groups} if has_fit_parameter(model, "groups") else {}
    return clone(model).fit(rows, churned, **told)


def group_rows(features: pd.DataFrame, groups: pd.Series | None = None) -> npt.NDArray[np.intp]:
    """Number what must stay together: rows that equal features or an equal group link, directly or through others.

    Args:
        features: [rows, features].
        groups: [rows], such as the customer's id; a missing one links its row to no other.

    Returns:
        int [rows], from 0 without gaps: the connected components of the rows.
    """
    distinct: npt.NDArray[np.intp] = np.unique(hash_rows(features), return_inverse=True)[1]
    if groups is None:
        return distinct
    label, labels = pd.factorize(groups)
    linked, nodes = label >= 0, distinct.max(initial=-1) + 1
    ends = (distinct[linked], nodes + label[linked])
    graph = coo_array((np.ones(linked.sum(), dtype=bool), ends), shape=(nodes + len(labels),) * 2)
    _, component = connected_components(graph, directed=False)
    # numbered by their first distinct row: where every group is one row, as if there were no groups
    _, first, place = np.unique(component[:nodes], return_index=True, return_inverse=True)
    together: npt.NDArray[np.intp] = np.unique(first[place][distinct], return_inverse=True)[1]
    return together


def outcome_of_groups(
    features: pd.DataFrame, churned: npt.NDArray[np.bool_], kept_together: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Say of what stays together whether any of its distinct rows, where first met, is a churner's: bool [groups]."""
    _, first = np.unique(hash_rows(features), return_index=True)
    return np.bincount(kept_together[first], churned[first]) > 0


def _deal(outcome: npt.NDArray[np.bool_], parts: int, seed: int) -> npt.NDArray[np.intp]:
    """Deal groups out to parts that are stratified by their outcomes, int [groups]."""
    part = np.empty(len(outcome), dtype=np.intp)
    dealer = StratifiedKFold(parts, shuffle=True, random_state=seed)
    for number, (_, dealt) in enumerate(dealer.split(outcome, outcome)):
        part[dealt] = number
    return part


def hash_rows(features: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """Hash the feature values of every row, uint64 [rows]; rows with equal values have equal hashes."""
    return np.asarray(pd.util.hash_pandas_object(features, index=False), dtype=np.uint64)
