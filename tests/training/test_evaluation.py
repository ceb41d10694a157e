"""The evaluation is honest: no model is asked about a row that it saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from learnable_tables import draw_customers, make_table
from sklearn.base import BaseEstimator

from churn_mlops.config.settings import TrainingSettings
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.metrics import Metrics, ScoreCounts
from churn_mlops.training.evaluation import evaluate, predict_out_of_fold

CUSTOMERS = draw_customers(600)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)


class Memory(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Says 1 for a row that it was fitted on, and 0 for any other."""

    def fit(self, frame: pd.DataFrame, churned: object) -> Memory:
        """Remember the rows."""
        self.seen_ = set(map(tuple, frame.to_numpy().tolist()))
        return self

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        """Tell whether each row was seen."""
        seen = np.array([tuple(row) in self.seen_ for row in frame.to_numpy().tolist()], dtype=float)
        return np.column_stack([1 - seen, seen])


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    """An estimator that remembers its rows recognises none, though 100 rows are there twice."""
    twice = pd.concat([TABLE.features, TABLE.features.iloc[:100]], ignore_index=True)
    churned = np.concatenate([TABLE.churned, ~TABLE.churned[:100]])
    fold = DuplicateGroupedKFold(5, 0).assign(twice, churned)
    assert predict_out_of_fold(Memory(), make_table(twice, churned), fold, lambda number: None).sum() == 0


def test_every_fold_is_announced_before_it_begins() -> None:
    """Whoever watches is told of each fold in order."""
    begun: list[int] = []
    predict_out_of_fold(Memory(), TABLE, FOLD, begun.append)
    assert begun == [0, 1, 2]


def test_shuffled_outcomes_cannot_be_learnt() -> None:
    """Where the outcome has nothing to do with the features the out-of-fold AUC is chance."""
    shuffled = make_table(TABLE.features, np.random.default_rng(1).permutation(TABLE.churned))
    estimator = build_logistic(TABLE.kinds, 20, folds=3, seed=0)
    probability = predict_out_of_fold(estimator, shuffled, FOLD, lambda number: None)
    assert ScoreCounts.count(shuffled.churned, probability).metrics().roc_auc == pytest.approx(0.5, abs=0.07)


def test_an_evaluation_holds_every_metric_with_its_interval() -> None:
    """The figures are those of the metrics, and stand inside their intervals, for the model and the rule."""
    probability = np.clip(0.8 - TABLE.features["tenure"].to_numpy() / 90, 0.05, 0.95)
    found = evaluate(TABLE, probability, FOLD, TrainingSettings(folds=3, bootstrap_resamples=100))
    values = {name: estimate.value for name, estimate in found.metrics.items()}
    assert values == ScoreCounts.count(TABLE.churned, probability).metrics()._asdict()
    assert list(found.metrics) == list(found.no_skill) == list(found.best_rule.metrics) == list(Metrics._fields)
    estimates = [*found.metrics.values(), *found.best_rule.metrics.values()]
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in estimates)


def test_an_evaluation_names_its_method_and_the_best_rule() -> None:
    """Folds, resamples and the column to beat are part of the record."""
    found = evaluate(TABLE, np.full(600, 0.4), FOLD, TrainingSettings(folds=3, bootstrap_resamples=100))
    assert found.method.startswith("3-fold out-of-fold")
    assert "100 bootstrap resamples" in found.method
    assert found.best_rule.column == "tenure"
