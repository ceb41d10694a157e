"""Looks closer at an evaluation: what would have leaked, whom it is worse for, whether more rows would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.leak_report import build_leak_report
from churn_mlops.training.learning_curve import measure_learning_curve
from churn_mlops.training.segments import measure_segments
from churn_mlops.training.snapshot_leaks import build_snapshot_leak_report

if TYPE_CHECKING:
    from churn_mlops.config.settings import Settings
    from churn_mlops.registry.manifest import Decision, Evaluation
    from churn_mlops.training.refitting import FitPredict
    from churn_mlops.training.steps import Steps
    from churn_mlops.training.trial import Trial


def look_closer(
    evaluation: Evaluation,
    fit_predict: FitPredict,
    trial: Trial,
    decision: Decision,
    settings: Settings,
    steps: Steps,
) -> Evaluation:
    """Add segments and, where the configuration wants them, the leak report and the learning curve.

    Args:
        evaluation: the honest one.
        fit_predict: fits the same model on some rows and scores others.
        trial: of the model.
        decision: says for whom `churn_predicted` is true.
        settings: the configuration.
        steps: told of each look.
    """
    wanted, seed = settings.evaluation, settings.training.seed
    tested, probability = trial.tested()
    value = tested.customer_value
    predicted = probability >= (decision.threshold if value is None else decision.thresholds(value))
    found: dict[str, object] = {"segments": measure_segments(tested, probability, predicted, wanted)}
    if wanted.leak_report:
        steps.begin("holding customers out in other ways")
        honest = ScoreCounts.count(tested.churned, probability).metrics()
        checked = settings.training, steps.detail
        found["leak_report"] = (
            build_leak_report(fit_predict, trial.table, trial.fold, honest, *checked)
            if trial.table.held_out is None
            else build_snapshot_leak_report(fit_predict, trial.table, honest, *checked)
        )
    if wanted.learning_curve:
        steps.begin("fitting on fewer customers")
        found["learning_curve"] = measure_learning_curve(fit_predict, trial.fold, trial.table, steps.detail, seed)
    return evaluation.model_copy(update=found)
