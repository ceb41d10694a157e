"""Out-of-fold evaluation: every customer is scored by a model that never saw a row like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from churn_mlops.models.metrics import Metrics, ScoreCounts, no_skill
from churn_mlops.registry.manifest import BestRule, Estimate, Evaluation
from churn_mlops.training.one_column import find_best_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.data.table import CustomerTable


def predict_out_of_fold(
    estimator: Any, table: CustomerTable, fold: npt.NDArray[np.intp], on_fold: Callable[[int], None]
) -> npt.NDArray[np.float64]:
    """Score each fold with the estimator fitted on the others.

    Args:
        estimator: unfitted; it is cloned, not changed.
        table: the customers.
        fold: int [rows], the fold of each row.
        on_fold: told the number of each fold before it begins.

    Returns:
        Churn probabilities, float64 [rows].
    """
    probability = np.empty(len(table.features))
    for number in range(int(fold.max()) + 1):
        on_fold(number)
        train, test = fold != number, fold == number
        fitted = clone(estimator).fit(table.features[train].reset_index(drop=True), table.churned[train])
        probability[test] = fitted.predict_proba(table.features[test])[:, 1]
    return probability


def evaluate(
    table: CustomerTable,
    probability: npt.NDArray[np.float64],
    fold: npt.NDArray[np.intp],
    settings: TrainingSettings,
) -> Evaluation:
    """Compare out-of-fold probabilities with the outcomes, beside no skill and the best rule on one column."""
    rule = find_best_rule(table, fold)
    customers = " and those of one customer" if table.repeated_customers else ""
    return Evaluation(
        method=(
            f"{settings.folds}-fold out-of-fold, rows with equal features{customers} in one fold; "
            f"95 % intervals from {settings.bootstrap_resamples} bootstrap resamples"
        ),
        metrics=_estimate(ScoreCounts.count(table.churned, probability), settings),
        no_skill=no_skill(float(table.churned.mean()))._asdict(),
        best_rule=BestRule(column=rule.column, metrics=_estimate(rule.counts, settings)),
    )


def _estimate(counts: ScoreCounts, settings: TrainingSettings) -> dict[str, Estimate]:
    figures: Metrics = counts.metrics()
    intervals = counts.intervals(settings.bootstrap_resamples, settings.seed)
    return {
        name: Estimate(value=value, low=intervals[name].low, high=intervals[name].high)
        for name, value in figures._asdict().items()
    }
