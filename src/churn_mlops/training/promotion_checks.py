"""What a version must show to be promoted, one function a check, each with the figures it was decided on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.models.comparison import Improvement, improve_log_loss
from churn_mlops.models.frame_encoder import encode_frame
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.registry.history import Check
from churn_mlops.training.one_column import LEAK_AUC, find_best_rule, find_leaks, fit_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.training.blind_scores import BlindScores

UNSEEN_ROWS: Final = "unseen rows"
AT_LEAST_AS_GOOD: Final = "at least as good"

_ROUNDING: Final = 1e-6
"""Differences in log loss below this come from float32 and are none."""

_WRONG_LABELS: Final = 0.05
"""From this share of contradicted rows on it is worth a word: a few are equal customers with different outcomes."""

_WRITTEN_LATER: Final = "it was most likely recorded after the customer left"
_CALLS: Final = 300
_WARM_UP_CALLS: Final = 20


@dataclass(frozen=True)
class Comparison:
    """Everything that a version is judged by.

    Attributes:
        table: the rows of which all have a probability by models that had not seen them.
        left_out: how many rows do not: they were trained on, but not among the sample that was evaluated.
        fold: int [rows], in which the rules on one column hold a row out.
        challenger: what the version says of them.
        champion: what the champion says of them; None where it is not compared.
        settings: the configuration.
    """

    table: CustomerTable
    left_out: int
    fold: npt.NDArray[np.intp]
    challenger: BlindScores
    champion: BlindScores | None
    settings: Settings

    def improve(self, reference: npt.NDArray[np.float64], fold: npt.NDArray[np.intp]) -> Improvement:
        """Say by how much the version's log loss is below that of other probabilities, float64 and int [rows]."""
        folds = (self.challenger.fold, fold)
        return improve_log_loss(self.table.churned, self.challenger.probability, reference, folds)

    def log_loss(self, probability: npt.NDArray[np.float64]) -> float:
        """Log loss of probabilities, float64 [rows]."""
        return ScoreCounts.count(self.table.churned, probability).metrics().log_loss


def describe_rows(comparison: Comparison) -> Check:
    """Say on which rows, and how, all are judged; by itself this stands against nothing."""
    challenger, champion = comparison.challenger, comparison.champion
    sentence = (
        f"Judged on the {len(comparison.fold):,} rows of {comparison.table.name}: by it, {_describe_scores(challenger)}"
    )
    if champion is not None:
        is_same = np.array_equal(challenger.fold, champion.fold)
        sentence += f"; by the champion, {_describe_scores(champion)}, in {'the same' if is_same else 'other'} folds"
    if comparison.left_out:
        sentence += (
            f"; {comparison.left_out:,} others are left out, on which one of them was trained without being evaluated"
        )
    return Check(name=UNSEEN_ROWS, passed=True, figures=f"{sentence}.")


def check_champion(comparison: Comparison, champion: BlindScores) -> Check:
    """Ask that the improvement on the champion reaches `promotion.min_improvement` within its 95 % interval.

    So a version that is as good passes, one that is provably worse does not, and the more rows there are, the less it
    takes to prove.
    """
    improvement = comparison.improve(champion.probability, champion.fold)
    wanted = comparison.settings.promotion.min_improvement
    passed = improvement.high + _ROUNDING >= wanted
    ours, theirs = comparison.log_loss(comparison.challenger.probability), comparison.log_loss(champion.probability)
    verb = "reaches" if passed else "does not reach"
    return Check(
        name=AT_LEAST_AS_GOOD,
        passed=passed,
        figures=(
            f"Its log loss is {ours:.4f} and the champion's {theirs:.4f}: the improvement of {_show(improvement)} "
            f"{verb} promotion.min_improvement ({wanted:g})."
            f"{'' if passed else _note_outcomes(comparison.challenger)}"
        ),
    )


def check_calibration(comparison: Comparison) -> Check:
    """Ask that the lower end of the calibration error's interval is within `promotion.max_calibration_error`.

    The lower end, because chance alone makes the error of few rows large: on 400, a perfect model shows about .05.
    """
    training, allowed = comparison.settings.training, comparison.settings.promotion.max_calibration_error
    counts = ScoreCounts.count(comparison.table.churned, comparison.challenger.probability)
    low, high = counts.intervals(training.bootstrap_resamples, training.seed)["calibration_error"]
    passed = low <= allowed
    sentence = (
        f"Its calibration error is {counts.metrics().calibration_error:.4f} [{low:.4f}, {high:.4f}]; its lower end is "
        f"{'within' if passed else 'above'} promotion.max_calibration_error ({allowed:g})."
    )
    return Check(name="calibrated", passed=passed, figures=sentence)


def check_rule(comparison: Comparison) -> Check:
    """Ask for a lower log loss than the best rule on one column of the same rows, out of fold."""
    rule = find_best_rule(comparison.table, comparison.fold)
    improvement = comparison.improve(rule.probability, comparison.fold)
    passed = improvement.value > 0
    sentence = (
        f"Its log loss is {comparison.log_loss(comparison.challenger.probability):.4f}, which "
        f"{'beats' if passed else 'does not beat'} the best rule on one column, {rule.column!r} "
        f"({comparison.log_loss(rule.probability):.4f}): an improvement of {_show(improvement)}."
    )
    if not passed and comparison.champion is None:
        sentence += _note_outcomes(comparison.challenger)
    return Check(name="beats the best rule", passed=passed, figures=sentence)


def check_leaks(comparison: Comparison) -> Check:
    """Ask that no column of it gives the outcome away: not even one that `data.allow_leaky` lists."""
    leaks = dict([*_find_columns_above_the_champion(comparison), *_find_deciding_columns(comparison)])
    if leaks:
        return Check(name="no leak", passed=False, figures=" ".join(leaks.values()))
    beaten = " and none that the champion lacks is better alone than the champion" if comparison.champion else ""
    sentence = f"No column of it alone reaches a ROC AUC of {LEAK_AUC:g}{beaten}."
    return Check(name="no leak", passed=True, figures=sentence)


def check_served(comparison: Comparison) -> Check:
    """Ask that what is served is as good, on the rows it was fitted on, as what was evaluated out of fold on them.

    A model is better on rows it was fitted on than on rows it was not. Where it is provably worse, either the graph
    is not the model that was evaluated, or the out-of-fold figures are too good to be true.
    """
    rows, scores = comparison.challenger.trained_on, comparison.challenger
    if rows.sum() < 2:
        sentence = "It was trained on none of these rows, so served and out-of-fold probabilities cannot be compared."
        return Check(name="served as evaluated", passed=None, figures=sentence)
    difference = improve_log_loss(
        comparison.table.churned[rows], scores.served[rows], scores.probability[rows], [scores.fold[rows]]
    )
    passed = difference.high + _ROUNDING >= 0
    sentence = (
        f"On the {rows.sum():,} rows it was trained on, the served graph "
        f"{'is no worse' if passed else 'is worse'} in log loss than what was evaluated out of fold: an improvement of "
        f"{_show(difference)}."
    )
    return Check(name="served as evaluated", passed=passed, figures=sentence)


def check_speed(comparison: Comparison) -> Check:
    """Ask that one customer with all contributions is scored within `promotion.max_latency_microseconds`."""
    allowed = comparison.settings.promotion.max_latency_microseconds
    found = _measure_microseconds(comparison.challenger.scorer, comparison.table)
    passed = found <= allowed
    sentence = (
        f"It scores one customer with all contributions in {found:.0f} microseconds (median of {_CALLS}), "
        f"{'within' if passed else 'above'} promotion.max_latency_microseconds ({allowed:g})."
    )
    return Check(name="fast enough", passed=passed, figures=sentence)


def _find_deciding_columns(comparison: Comparison) -> Iterator[tuple[str, str]]:
    names = comparison.challenger.scorer.manifest.signature.names
    for leak in find_leaks(comparison.table, comparison.fold):
        if leak.column in names:
            how = f" {leak.how}" if leak.how else ""
            figure = f"ROC AUC {leak.roc_auc:.3f} on its own"
            yield (
                leak.column,
                f"Its column {leak.column!r}{how} all but decides the target ({figure}): {_WRITTEN_LATER}.",
            )


def _find_columns_above_the_champion(comparison: Comparison) -> Iterator[tuple[str, str]]:
    if comparison.champion is None:
        return
    known = comparison.champion.scorer.manifest.signature.names
    for column in comparison.challenger.scorer.manifest.signature.names:
        if column in known:
            continue
        rule = fit_rule(comparison.table, column, comparison.fold)
        champion = comparison.champion.probability
        folds = (comparison.fold, comparison.champion.fold)
        better = improve_log_loss(comparison.table.churned, rule.probability, champion, folds)
        if better.low > 0:
            yield (
                column,
                (
                    f"Its column {column!r}, which the champion lacks, is better alone (log loss "
                    f"{comparison.log_loss(rule.probability):.4f}) than the champion "
                    f"({comparison.log_loss(champion):.4f}): {_WRITTEN_LATER}."
                ),
            )


def _measure_microseconds(scorer: Scorer, table: CustomerTable) -> float:
    rows = encode_frame(scorer.manifest.signature, table.features.iloc[:_CALLS]).astype(np.float32)
    durations = []
    for call in range(_WARM_UP_CALLS + _CALLS):
        row = rows[[call % len(rows)]]
        begin = time.perf_counter_ns()
        scorer.score(row)
        durations.append(time.perf_counter_ns() - begin)
    return median(durations[_WARM_UP_CALLS:]) / 1000


def _describe_scores(scores: BlindScores) -> str:
    rows, held_out = len(scores.fold), int(scores.trained_on.sum())
    if held_out == rows:
        return "all out of fold"
    if held_out == 0:
        return "all of them rows that it was never trained on"
    return f"{held_out:,} out of fold and {rows - held_out:,} that it was never trained on"


def _note_outcomes(scores: BlindScores) -> str:
    """Say where the training of a version that fails was told something else: its labels, not its model, are wrong."""
    contradicted = int(scores.contradicted.sum())
    if contradicted < _WRONG_LABELS * scores.trained_on.sum() or not contradicted:
        return ""
    return f" In training it was told the other outcome of {contradicted:,} of these rows."


def _show(improvement: Improvement) -> str:
    return f"{improvement.value:.4f} [{improvement.low:.4f}, {improvement.high:.4f}]"
