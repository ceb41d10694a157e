"""Candidates are scored on rows that they never saw, calibrated by other folds, and chosen by a rule that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from learnable_tables import draw_customers, make_table
from sklearn.base import BaseEstimator

from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.candidates import cross_validate

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

CUSTOMERS = draw_customers(600)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)


class Memory(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A family that says 1 of a customer it was fitted on, and 0 of any other."""

    def fit(self, matrix: Floats, churned: Bools) -> Memory:
        """Remember tenure and charges, which the encoder does not change from fold to fold."""
        self.seen_ = set(map(tuple, matrix[:, [0, 2]].tolist()))
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Tell whether each customer was seen."""
        return np.array([float(tuple(row) in self.seen_) for row in matrix[:, [0, 2]].tolist()])


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    """A family that remembers its rows recognises none, though 100 rows are there twice."""
    twice = pd.concat([TABLE.features, TABLE.features.iloc[:100]], ignore_index=True)
    churned = np.concatenate([TABLE.churned, ~TABLE.churned[:100]])
    fold = DuplicateGroupedKFold(5, 0).assign(twice, churned)
    candidate = cross_validate("ebm", Memory(), {}, make_table(twice, churned), fold, 20, lambda number: None)
    assert not candidate.raw_log_odds.any()


def test_every_fold_is_announced_before_it_begins() -> None:
    """Whoever watches is told of each fold in order."""
    begun: list[int] = []
    cross_validate("ebm", Memory(), {}, TABLE, FOLD, 20, begun.append)
    assert begun == [0, 1, 2]


def test_shuffled_outcomes_cannot_be_learnt() -> None:
    """Where the outcome has nothing to do with the features the out-of-fold AUC is chance."""
    shuffled = make_table(TABLE.features, np.random.default_rng(1).permutation(TABLE.churned))
    found = cross_validate("logistic", build_logistic(TABLE.kinds), {}, shuffled, FOLD, 20, lambda number: None)
    counts = ScoreCounts.count(shuffled.churned, found.probability)
    assert counts.metrics().roc_auc == pytest.approx(0.5, abs=0.07)


def test_the_order_of_categories_is_learnt_inside_the_folds() -> None:
    """Where every customer has a category of their own kind by chance, its order says nothing of rows held out."""
    random = np.random.default_rng(3)
    plans = pd.Series([f"p{place}" for place in random.integers(0, 60, 900)], dtype="str")
    table = make_table(pd.DataFrame({"code": plans, "n": np.arange(900.0)}), random.random(900) < 0.4)
    fold = DuplicateGroupedKFold(3, 0).assign(table.features, table.churned)
    found = cross_validate("ebm", FirstColumn(), {}, table, fold, 5, lambda number: None)
    assert ScoreCounts.count(table.churned, found.raw_log_odds / 60).metrics().roc_auc < 0.55


class FirstColumn(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A family that takes the first feature's code for the log-odds."""

    def fit(self, matrix: Floats, churned: Bools) -> FirstColumn:
        """Learn nothing."""
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give the code."""
        return matrix[:, 0]
