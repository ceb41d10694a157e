"""Shows beside a version's metrics what they are worth: other candidates, leak report, segments, learning curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from churn_mlops.training.learning_curve import describe_learning_curve
from churn_mlops.training.wording import show_estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from churn_mlops.registry.manifest import CandidateScore, Estimate, Evaluation, Manifest


def show_evaluation(console: Console, manifest: Manifest) -> None:
    """Show what was measured beside the metrics; nothing is said of what the configuration switched off."""
    evaluation = manifest.evaluation
    for horizon in manifest.horizons:
        auc, gap = horizon.metrics["roc_auc"], horizon.metrics["calibration_error"]
        _say(
            console,
            f"within {horizon.days} days, {horizon.churn_rate:.1%} of the customers tested left: ROC AUC "
            f"{show_estimate(auc)}, calibration error {show_estimate(gap)}",
        )
    if len(evaluation.candidates) > 1:
        _show_rows(console, list(_candidate_rows(evaluation)))
        _say(console, describe_choice(evaluation.candidates))
    if evaluation.leak_report:
        _show_rows(console, list(_leak_rows(evaluation)))
        for check in evaluation.leak_report:
            _say(console, f"{check.scheme}: {check.note}")
    if evaluation.segments:
        _show_rows(console, list(_segment_rows(evaluation)))
        _say(console, "left: base rate; gap: mean probability less base rate, * where its interval leaves out 0")
    if evaluation.learning_curve:
        _say(console, describe_learning_curve(evaluation.learning_curve, evaluation.sampled_rows))


def describe_choice(candidates: Sequence[CandidateScore]) -> str:
    """Say which candidate was chosen, and what it costs if it is not the best one."""
    chosen = next(candidate for candidate in candidates if candidate.chosen)
    best = min(candidates, key=lambda candidate: candidate.log_loss)
    if chosen is best:
        return f"{chosen.family} has the lowest log loss and was chosen"
    if not chosen.explainable:
        return f"{chosen.family} was asked for; {best.family} has a log loss lower by {chosen.worse_by:.4f}"
    return (
        f"{chosen.family} was chosen for its exact reasons: that costs {chosen.worse_by:.4f} of log loss against "
        f"{best.family}, which is within one standard error of the difference ({chosen.standard_error:.4f})"
    )


def _candidate_rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    yield "candidate", "log loss", "worse by", "reasons", "calibration", "seconds"
    for candidate in evaluation.candidates:
        yield (
            f"{candidate.family} (chosen)" if candidate.chosen else candidate.family,
            f"{candidate.log_loss:.4f}",
            f"{candidate.worse_by:.4f} ± {candidate.standard_error:.4f}",
            "exact" if candidate.explainable else "against typical",
            str(candidate.settings.get("calibration", "")),
            f"{candidate.fit_seconds:.1f}",
        )


def _leak_rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    yield "held out", "ROC AUC", "difference", "log loss", "difference"
    honest = evaluation.metrics["roc_auc"].value, evaluation.metrics["log_loss"].value
    for check in evaluation.leak_report:
        cells: list[str] = []
        for figure, reference in zip((check.roc_auc, check.log_loss), honest, strict=True):
            cells += ["-", "-"] if figure is None else [f"{figure:.4f}", f"{figure - reference:+.4f}"]
        yield check.scheme, *cells


def _segment_rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    yield "segment", "customers", "left", "selected", "AUC", "gap [95 % interval]"
    for segment in evaluation.segments:
        yield (
            f"{segment.column}: {segment.value}",
            f"{segment.customers:,}",
            f"{segment.base_rate.value:.3f}",
            f"{segment.selection_rate:.3f}",
            "-" if segment.roc_auc is None else f"{segment.roc_auc:.3f}",
            _show_gap(segment.calibration_gap),
        )


def _show_gap(gap: Estimate) -> str:
    is_off = gap.low > 0 or gap.high < 0
    return f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" + ("*" if is_off else "")


def _show_rows(console: Console, rows: Sequence[tuple[str, ...]]) -> None:
    if not console.is_terminal:
        for row in rows:
            _say(console, " | ".join(row))
        return
    table = Table()
    for place, title in enumerate(rows[0]):
        table.add_column(Text(title), justify="left" if place == 0 else "right", no_wrap=place > 0)
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    console.print(table)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
