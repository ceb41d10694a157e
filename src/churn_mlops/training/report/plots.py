"""The figures on how good a version is: ranking, calibration, profit and learning curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from churn_mlops.training.report.curves import CalibrationBins, Ranking, bin_calibration, trace_ranking
from churn_mlops.training.report.drawing import FILL, INK, MAIN, PERCENT, QUIET, SECOND, THIRD, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from churn_mlops.models.metrics import ScoreCounts
    from churn_mlops.registry.manifest import LearningPoint
    from churn_mlops.training.report.content import ProfitCurve

    Floats = npt.NDArray[np.float64]

_HISTOGRAM_BINS = 20
_CONTACTED = "customers contacted, likeliest churners first (%)"
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": MAIN, "linestyle": "-"},
    {"color": SECOND, "linestyle": (0, (5, 1.5))},
)
"""This version and the champion: told apart by the stroke as well as by the colour."""


def plot_roc(rankings: dict[str, Ranking], threshold: float) -> Markup:
    """Draw ROC curves by name, the version's first, with the decision threshold on it."""

    def paint(figure: Figure) -> None:
        axes = _percent_axes(figure, "stayers scored as high (%)", "churners found (%)")
        for look, (name, ranking) in zip(_LOOKS, rankings.items(), strict=False):
            axes.plot(ranking.false_positive_rate, ranking.true_positive_rate, label=name, **look)
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="chance")
        ranking = next(iter(rankings.values()))
        point = ranking.at(threshold)
        _mark(axes, ranking.false_positive_rate[point], ranking.true_positive_rate[point], f"threshold {threshold:.2f}")
        _add_legend(figure)

    return draw(paint, "roc", "ROC curve: churners found against stayers scored as high", 300)


def plot_precision_recall(ranking: Ranking, threshold: float) -> Markup:
    """Draw precision against recall, with the base rate as chance."""

    def paint(figure: Figure) -> None:
        axes = _percent_axes(figure, "churners found (recall, %)", "churners among those contacted (%)")
        axes.plot(ranking.true_positive_rate, ranking.precision, label="this version", **_LOOKS[0])
        axes.axhline(ranking.best_share, color=INK, linestyle=":", linewidth=1, label="chance")
        point = ranking.at(threshold)
        _mark(axes, ranking.true_positive_rate[point], ranking.precision[point], f"threshold {threshold:.2f}")
        _add_legend(figure)

    return draw(paint, "precision-recall", "Precision against recall", 300)


def plot_gains(ranking: Ranking) -> Markup:
    """Draw the share of churners found against the share of customers contacted."""

    def paint(figure: Figure) -> None:
        axes = _percent_axes(figure, _CONTACTED, "churners found (%)")
        axes.plot(ranking.contacted_share, ranking.true_positive_rate, label="this version", **_LOOKS[0])
        axes.plot([0, ranking.best_share, 1], [0, 1, 1], color=THIRD, linestyle="-.", linewidth=1.2, label="perfect")
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="chance")
        _add_legend(figure)

    return draw(paint, "gains", "Cumulative gains: churners found against customers contacted", 300)


def plot_lift(ranking: Ranking) -> Markup:
    """Draw the lift against the share of customers contacted, from 1 % on: below it stands on few customers."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        shown = ranking.contacted_share >= 0.01
        axes.plot(ranking.contacted_share[shown], ranking.lift[shown], label="this version", **_LOOKS[0])
        axes.axhline(1, color=INK, linestyle=":", linewidth=1, label="chance")
        axes.set(xlabel=_CONTACTED, ylabel="lift (times the base rate)", xlim=(0, 1))
        axes.set_ylim(0, max(1.2, 1.1 * float(ranking.lift[shown].max())))
        axes.xaxis.set_major_formatter(PERCENT)
        _add_legend(figure)

    return draw(paint, "lift", "Lift against customers contacted", 300)


def plot_calibration(counts: dict[str, ScoreCounts]) -> Markup:
    """Draw observed against predicted churn rates by name, the version's first, over the histogram of its scores."""

    def paint(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        top.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="perfect")
        for look, marker, (name, each) in zip(_LOOKS, "os", counts.items(), strict=False):
            _plot_bins(top, bin_calibration(each), name, marker, look)
        top.set(ylabel="customers who left (%)", ylim=(-0.02, 1.02), xlim=(0, 1))
        top.yaxis.set_major_formatter(PERCENT)
        _add_legend(figure)
        first = next(iter(counts.values()))
        _plot_histogram(bottom, first)
        bottom.set(xlabel="predicted churn probability (%)", ylabel="customers\n(%)")

    return draw(paint, "calibration", "Calibration: observed against predicted churn rates, and their histogram", 380)


def plot_profit(profit: ProfitCurve, unit: str) -> Markup:
    """Draw the profit per customer against the share contacted, with the chosen share; `unit` is ready for a label."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(profit.contacted_share, profit.profit_per_customer, label="this version", **_LOOKS[0])
        axes.axhline(0, color=INK, linestyle=":", linewidth=1, label="contacting nobody")
        at = float(np.interp(profit.chosen_share, profit.contacted_share, profit.profit_per_customer))
        axes.axvline(profit.chosen_share, color=SECOND, linestyle="--", linewidth=1)
        axes.plot(profit.chosen_share, at, "D--", color=SECOND, linewidth=1, label=f"chosen: {profit.chosen_share:.1%}")
        axes.set(xlabel="customers contacted, most expected profit first (%)", xlim=(0, 1))
        axes.set_ylabel(f"profit per customer\n({unit})")
        axes.xaxis.set_major_formatter(PERCENT)
        axes.margins(y=0.15)
        _add_legend(figure)

    return draw(paint, "profit", "Profit per customer against customers contacted, with the chosen share", 300)


def plot_learning(points: Sequence[LearningPoint], metric: str, title: str) -> Markup:
    """Draw one metric against the number of customers that the model was fitted on."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([p.customers for p in points], [getattr(p, metric) for p in points], marker="o", **_LOOKS[0])
        axes.set(xlabel="customers fitted on", ylabel=f"{title}, out of fold", xlim=(0, None))
        axes.margins(y=0.2)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=5)

    return draw(paint, f"learning-{metric.replace('_', '-')}", f"Learning curve: {title} against customers", 250)


def rank(counts: dict[str, ScoreCounts]) -> dict[str, Ranking]:
    """Trace the ranking of each."""
    return {name: trace_ranking(each) for name, each in counts.items()}


def _add_legend(figure: Figure) -> None:
    """Put a legend above the axes, where no curve can run into it."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=2.4)


def _percent_axes(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_formatter(PERCENT)
    return axes


def _mark(axes: Axes, x: float, y: float, text: str) -> None:
    """Mark a point and write beside it, towards the middle of the figure."""
    axes.plot([x], [y], marker="D", markersize=6, color=SECOND, linestyle="none", zorder=5)
    low, high = axes.get_xlim()
    right = x > (low + high) / 2
    axes.annotate(
        text,
        (x, y),
        xytext=(-9 if right else 9, -12),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        fontsize=10,
    )


def _plot_bins(axes: Axes, bins: CalibrationBins, name: str, marker: str, look: dict[str, Any]) -> None:
    spread = np.maximum([bins.observed - bins.low, bins.high - bins.observed], 0)
    axes.errorbar(
        bins.predicted, bins.observed, yerr=spread, marker=marker, markersize=4.5, label=name, capsize=2.5, **look
    )


def _plot_histogram(axes: Axes, counts: ScoreCounts) -> None:
    customers = counts.churned + counts.stayed
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    heights, _ = np.histogram(counts.scores, edges, weights=customers / customers.sum())
    axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=FILL, edgecolor=QUIET, linewidth=0.5)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.locator_params(axis="y", nbins=3)
