"""Out-of-fold evaluation: every customer is scored by a model that never saw a row like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.models.metrics import Metrics, ScoreCounts, no_skill
from churn_mlops.registry.manifest import BestRule, Estimate, Evaluation
from churn_mlops.training.candidates import compare
from churn_mlops.training.one_column import find_best_rule
from churn_mlops.training.trial import learnt_rows
from churn_mlops.training.tuning import TUNING_ROWS

if TYPE_CHECKING:
    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.training.contest import Contest
    from churn_mlops.training.trial import Trial


def evaluate(trial: Trial, contest: Contest, settings: TrainingSettings, rows_used: int) -> Evaluation:
    """Compare the chosen candidate's probabilities of unseen rows with the outcomes, beside what it has to beat.

    Args:
        trial: of the candidate.
        contest: that it won.
        settings: resamples and seed of the intervals.
        rows_used: how many rows the model is fitted on in the end, of which the trial's may be a sample.
    """
    table, probability = trial.tested()
    rule = find_best_rule(trial.table, trial.fold)
    rows, resamples = len(trial.fold), settings.bootstrap_resamples
    return Evaluation(
        method=(
            f"{_describe_trial(trial, settings)}; 95 % intervals from {resamples} bootstrap resamples"
            f"{_describe_sample(rows, rows_used)}"
        ),
        metrics=estimate(ScoreCounts.count(table.churned, probability), settings),
        no_skill=no_skill(float(table.churned.mean()))._asdict(),
        candidates=compare(contest.candidates, contest.chosen, trial.table.churned[learnt_rows(trial.table)]),
        best_rule=BestRule(column=rule.column, metrics=estimate(rule.counts, settings)),
        sampled_rows=rows if rows < rows_used else None,
    )


def _describe_trial(trial: Trial, settings: TrainingSettings) -> str:
    table = trial.table
    if table.held_out is None or table.time is None:
        customers = " and those of one customer" if table.repeated_customers else ""
        return (
            f"{settings.folds}-fold out-of-fold, rows with equal features{customers} in one fold, calibrated by the "
            f"other folds"
        )
    days = table.time.dt.strftime("%Y-%m-%d")
    later, learnt = (" and ".join(sorted(set(days[rows]))) for rows in (table.held_out, ~table.held_out))
    return (
        f"on the {len(trial.rows):,} customers at risk on {later}, fitted and calibrated on the snapshots of {learnt}, "
        f"whose outcomes were known before"
    )


def _describe_sample(rows: int, rows_used: int) -> str:
    tuned = f"; settings were tuned on {TUNING_ROWS:,} of them, drawn at random" if rows > TUNING_ROWS else ""
    if rows == rows_used:
        return tuned.replace("them", f"the {rows:,} rows")
    return (
        f"; on a seeded sample of {rows:,} of the {rows_used:,} rows, whole customers{tuned}; the model itself is "
        f"fitted on all rows"
    )


def estimate(counts: ScoreCounts, settings: TrainingSettings) -> dict[str, Estimate]:
    """Compute the metrics with their intervals."""
    figures: Metrics = counts.metrics()
    intervals = counts.intervals(settings.bootstrap_resamples, settings.seed)
    return {
        name: Estimate(value=value, low=intervals[name].low, high=intervals[name].high)
        for name, value in figures._asdict().items()
    }
