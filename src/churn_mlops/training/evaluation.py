"""Out-of-fold evaluation: every customer is scored by a model that never saw a row like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.models.metrics import Metrics, ScoreCounts, no_skill
from churn_mlops.registry.manifest import BestRule, Estimate, Evaluation
from churn_mlops.training.candidates import compare
from churn_mlops.training.one_column import find_best_rule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.training.contest import Contest


def evaluate(
    table: CustomerTable, contest: Contest, fold: npt.NDArray[np.intp], settings: TrainingSettings
) -> Evaluation:
    """Compare the chosen candidate's out-of-fold probabilities with the outcomes, beside what it has to beat."""
    probability = contest.chosen.probability
    rule = find_best_rule(table, fold)
    customers = " and those of one customer" if table.repeated_customers else ""
    return Evaluation(
        method=(
            f"{settings.folds}-fold out-of-fold, rows with equal features{customers} in one fold, calibrated by the "
            f"other folds; 95 % intervals from {settings.bootstrap_resamples} bootstrap resamples"
        ),
        metrics=_estimate(ScoreCounts.count(table.churned, probability), settings),
        no_skill=no_skill(float(table.churned.mean()))._asdict(),
        candidates=compare(contest.candidates, contest.chosen, table.churned),
        best_rule=BestRule(column=rule.column, metrics=_estimate(rule.counts, settings)),
    )


def _estimate(counts: ScoreCounts, settings: TrainingSettings) -> dict[str, Estimate]:
    figures: Metrics = counts.metrics()
    intervals = counts.intervals(settings.bootstrap_resamples, settings.seed)
    return {
        name: Estimate(value=value, low=intervals[name].low, high=intervals[name].high)
        for name, value in figures._asdict().items()
    }
