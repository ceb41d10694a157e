"""The sections on how far the figures can be trusted: leaks, candidates, learning curve and segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from churn_mlops.training.report.parts import Drawing, Section, Table, cut_rows
from churn_mlops.training.report.plots import plot_learning
from churn_mlops.training.wording import show_estimate

if TYPE_CHECKING:
    from churn_mlops.registry.manifest import CandidateScore, LeakCheck, Manifest, SegmentMetrics

MOST_SEGMENTS: Final = 100
_NOTEWORTHY: Final = 0.002
"""Differences of the ROC AUC below this are not worth acting on, and mostly chance."""


def describe_leaks(manifest: Manifest) -> Section:
    """Show what other ways of holding customers out would have claimed."""
    checks = manifest.evaluation.leak_report
    if not checks:
        return Section("leaks", "Leak report", ("Other ways of holding customers out were not tried.",))
    rows = tuple((check.scheme, check.note, _show(check.roc_auc), _show(check.log_loss)) for check in checks)
    table = Table("The same model, held out in other ways", ("held out", "note", "ROC AUC", "log loss"), rows, 2)
    sentences = (
        "A figure that is better than the honest one was helped by something that will not be there for new customers.",
        _describe_random_rows(manifest, checks),
    )
    return Section("leaks", "Leak report", tuple(filter(None, sentences)), tables=(table,))


def describe_candidates(manifest: Manifest) -> Section:
    """Show which families were compared, and what the choice costs."""
    candidates = manifest.evaluation.candidates
    if not candidates:
        sentence = f"No other family was tried: {manifest.model} was asked for."
        return Section("candidates", "Candidates", (sentence,))
    rows = tuple(
        (
            f"{candidate.family} (chosen)" if candidate.chosen else candidate.family,
            "exact" if candidate.explainable else "approximate",
            ", ".join(f"{name} {_write(value)}" for name, value in candidate.settings.items()) or "none",
            f"{candidate.log_loss:.4f}",
            f"{candidate.worse_by:.4f} ± {candidate.standard_error:.4f}",
            f"{candidate.fit_seconds:,.1f}",
        )
        for candidate in sorted(candidates, key=lambda candidate: candidate.log_loss)
    )
    header = ("family", "reasons", "settings", "log loss", "worse by ± standard error", "seconds")
    table = Table("Families on the same folds (lower log loss is better)", header, rows, 3)
    return Section("candidates", "Candidates", (_describe_choice(candidates),), tables=(table,))


def describe_learning(manifest: Manifest) -> Section:
    """Show whether more customers would make a better model."""
    points = sorted(manifest.evaluation.learning_curve, key=lambda point: point.customers)
    if len(points) < 2:
        sentence = "Fitting on fewer customers was not tried, so it is not known whether more would help."
        return Section("learning", "Learning curve", (sentence,))
    before, last = points[-2:]
    gain = last.roc_auc - before.roc_auc
    verdict = (
        "would most likely help" if gain >= _NOTEWORTHY else "of the same kind would hardly help; better columns may"
    )
    sentence = (
        f"From {before.customers:,} to {last.customers:,} customers the ROC AUC "
        f"{'rose' if gain > 0 else 'fell'} by {abs(gain):.3f}: more customers {verdict}."
    )
    rows = tuple((f"{point.customers:,}", f"{point.roc_auc:.3f}", f"{point.log_loss:.3f}") for point in points)
    table = Table("The same in figures", ("customers", "ROC AUC", "log loss"), rows, 0, folded=True)
    drawings = (
        Drawing("ROC AUC", plot_learning(points, "roc_auc", "ROC AUC"), table=table),
        Drawing("Log loss (lower is better)", plot_learning(points, "log_loss", "log loss")),
    )
    return Section("learning", "Learning curve", (sentence,), drawings=drawings)


def describe_segments(manifest: Manifest) -> Section:
    """Show how the model does on groups of customers."""
    segments = manifest.evaluation.segments
    if not segments:
        return Section("segments", "Segments", ("Groups of customers were not looked at one by one.",))
    off = [segment for segment in segments if _verdict(segment) != "fits"]
    sentence = (
        f"In {len(off)} of {len(segments)} segments the 95 % interval of predicted less observed churn rate does not "
        f"hold 0; of well calibrated ones, 5 in 100 would not. A gap above 0 says that the model "
        f"expects more churn than there is."
    )
    rows = cut_rows((_row(segment) for segment in segments), MOST_SEGMENTS)
    header = ("column", "value", "verdict", "customers", "left", "predicted", "flagged", "ROC AUC", "gap")
    return Section("segments", "Segments", (sentence,), tables=(Table("Customers by value", header, rows, 3),))


def _describe_random_rows(manifest: Manifest, checks: tuple[LeakCheck, ...]) -> str:
    honest = manifest.evaluation.metrics["roc_auc"].value
    claimed = next((check.roc_auc for check in checks if check.scheme == "random rows"), None)
    if claimed is None:
        return ""
    more = claimed - honest
    if abs(more) < _NOTEWORTHY / 2:
        return f"A random split would have claimed a ROC AUC of {claimed:.3f}, the same as the honest {honest:.3f}."
    return (
        f"A random split would have claimed a ROC AUC of {claimed:.3f} where the honest one is {honest:.3f}: "
        f"{abs(more):.3f} too {'much' if more > 0 else 'little'}."
    )


def _describe_choice(candidates: tuple[CandidateScore, ...]) -> str:
    best = min(candidates, key=lambda candidate: candidate.worse_by)
    chosen = next((candidate for candidate in candidates if candidate.chosen), best)
    reasons = "whose reasons are exact" if chosen.explainable else "whose reasons are approximate"
    if chosen is best:
        return f"Chosen is {chosen.family}, {reasons}: it has the lowest log loss, so the choice costs nothing."
    within = "within" if chosen.worse_by <= chosen.standard_error else "more than"
    return (
        f"Chosen is {chosen.family}, {reasons}. It costs {chosen.worse_by:.4f} of log loss against {best.family}, "
        f"the best, which is {within} one standard error ({chosen.standard_error:.4f})."
    )


def _row(segment: SegmentMetrics) -> tuple[str, ...]:
    gap = segment.calibration_gap
    return (
        segment.column,
        segment.value,
        _verdict(segment),
        f"{segment.customers:,}",
        show_estimate(segment.base_rate),
        f"{segment.mean_probability:.3f}",
        f"{segment.selection_rate:.1%}",
        _show(segment.roc_auc),
        f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]",
    )


def _verdict(segment: SegmentMetrics) -> str:
    if segment.calibration_gap.low > 0:
        return "too high"
    return "too low" if segment.calibration_gap.high < 0 else "fits"


def _write(setting: float | int | str) -> str:
    return f"{setting:.3g}" if isinstance(setting, float) else str(setting)


def _show(figure: float | None) -> str:
    return "n/a" if figure is None else f"{figure:.3f}"
