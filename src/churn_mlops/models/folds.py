"""Cross-validation folds that never show a model a row it is then tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold

from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt


class DuplicateGroupedKFold(BaseCrossValidator):  # type: ignore[misc]  # scikit-learn ships no types
    """Stratified folds in which rows with equal features always share a fold.

    The customer id is no feature, so rows that are duplicates but for the id are kept together. Distinct rows are
    dealt out with scikit-learn's StratifiedKFold by the target of their first occurrence.

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
        groups: object = None,
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        fold = self.assign(X, y)
        for number in range(self.n_splits):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)

    def assign(self, features: pd.DataFrame, churned: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Give the fold of every row, int [rows] from 0 to n_splits - 1.

        Raises:
            DataError: too few rows differ in their features to give every fold a churner and a stayer.
        """
        _, first, group = np.unique(hash_rows(features), return_index=True, return_inverse=True)
        outcome = np.asarray(churned, dtype=bool)[first]
        self._require_enough(int(outcome.sum()), int((~outcome).sum()))
        fold_of_group = np.empty(len(first), dtype=np.intp)
        dealer = StratifiedKFold(self.n_splits, shuffle=True, random_state=self.seed)
        for number, (_, test) in enumerate(dealer.split(first, outcome)):
            fold_of_group[test] = number
        return fold_of_group[group]

    def _require_enough(self, left: int, stayed: int) -> None:
        if min(left, stayed) < self.n_splits:
            raise DataError(
                f"Rows with equal features share a fold, and only {left} different rows of churners and {stayed} of "
                f"customers who stayed are there to deal out to {self.n_splits} folds; add columns, or lower "
                f"training.folds."
            )


def hash_rows(features: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """Hash the feature values of every row, uint64 [rows]; rows with equal values have equal hashes."""
    return np.asarray(pd.util.hash_pandas_object(features, index=False), dtype=np.uint64)
