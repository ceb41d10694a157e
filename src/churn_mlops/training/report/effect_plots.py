"""The figures on what moves the risk: importance, the effect of each feature, and of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from churn_mlops.training.report.drawing import FILL, INK, MAIN, PERCENT, QUIET, draw, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from churn_mlops.training.report.content import Effect, PairEffect

_CONTRIBUTION: Final = "contribution\n(log-odds)"
_SHADES: Final = ListedColormap(
    ["#001261", "#034481", "#307da6", "#94bed2", "#ece5e0", "#dbaa8d", "#c27041", "#912d06", "#590008"], name="vik"
)
"""Crameri's vik (2018), perceptually uniform and fit for the colour-blind: blue lowers the risk, red raises it."""

_NAMED_TICKS: Final = 6
_SEEN: Final = 0.01
"""Whiskers shorter than this share of a figure are rounding, or cannot be seen."""

_ROW: Final = 21
"""Height of a bar with its label, in pixels."""


def plot_importance(effects: Sequence[Effect]) -> Markup:
    """Draw the mean absolute contribution of features, in the order given."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(effects))
        bars = axes.barh(places, [effect.importance for effect in effects], 0.7, color=MAIN)
        axes.bar_label(bars, [f"{effect.importance:.3f}" for effect in effects], padding=3, fontsize=10)
        _label_rows(axes, [effect.feature for effect in effects])
        axes.set_xlabel("mean absolute\ncontribution (log-odds)")
        axes.margins(x=0.18)
        axes.set_xlim(0, axes.get_xlim()[1] or 1)

    return draw(paint, "importance", "Importance of the features", 75 + _ROW * len(effects))


def plot_effect(effect: Effect, name: str) -> Markup:
    """Draw the contribution of a feature over its values, and below how many customers have them."""
    description = f"Effect of {effect.feature} on the risk, and how many customers have each value"
    if effect.kind == "numeric":
        return draw(lambda figure: _paint_numbers(figure, effect), name, description, 270)
    return draw(lambda figure: _paint_categories(figure, effect), name, description, 85 + _ROW * len(effect.categories))


def plot_pair(pair: PairEffect, name: str) -> Markup:
    """Draw what two features do together as coloured cells, from blue (lowers the risk) to red (raises it)."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        largest = float(np.nanmax(np.abs(pair.contribution))) or 1.0
        cells = axes.pcolormesh(pair.contribution, cmap=_SHADES, vmin=-largest, vmax=largest)
        _label_cells(axes, pair)
        axes.grid(visible=False)
        figure.colorbar(cells, ax=axes, label="contribution (log-odds)")

    height = 150 + _ROW * len(pair.first_values) + 5 * max(map(len, _short(pair.second_values)))
    return draw(paint, name, f"Joint effect of {pair.first} and {pair.second} on the risk", height)


def _paint_numbers(figure: Figure, effect: Effect) -> None:
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    if len(effect.density):
        _paint_curve(top, bottom, effect)
    else:
        _paint_points(top, bottom, effect)
    top.axhline(0, color=INK, linestyle=":", linewidth=1)
    top.set_ylabel(_CONTRIBUTION)
    top.yaxis.set_major_locator(MaxNLocator(5))
    bottom.set(ylabel="customers\n(%)", xlabel=shorten(effect.feature, 28))
    bottom.yaxis.set_major_formatter(PERCENT)
    bottom.yaxis.set_major_locator(MaxNLocator(2))
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _paint_curve(top: Axes, bottom: Axes, effect: Effect) -> None:
    top.fill_between(effect.grid, effect.low, effect.high, color=MAIN, alpha=0.25, linewidth=0)
    top.plot(effect.grid, effect.contribution, color=MAIN)
    edges = effect.density_edges
    bottom.bar(edges[:-1], effect.density, np.diff(edges), align="edge", color=FILL, edgecolor=QUIET, linewidth=0.4)
    bottom.set_xlim(edges[0], edges[-1])
    bottom.xaxis.set_major_locator(MaxNLocator(5))


def _paint_points(top: Axes, bottom: Axes, effect: Effect) -> None:
    nearest = float(np.diff(effect.grid).min()) if len(effect.grid) > 1 else 1.0
    top.errorbar(
        effect.grid, effect.contribution, _spread(effect), color=MAIN, marker="o", capsize=3, linewidth=1, linestyle=":"
    )
    bottom.bar(effect.grid, effect.share, 0.6 * nearest, color=FILL, edgecolor=QUIET, linewidth=0.4)
    bottom.set_xlim(effect.grid[0] - 0.6 * nearest, effect.grid[-1] + 0.6 * nearest)
    if len(effect.grid) <= _NAMED_TICKS:
        bottom.set_xticks(effect.grid)
    else:
        bottom.xaxis.set_major_locator(MaxNLocator(5))


def _paint_categories(figure: Figure, effect: Effect) -> None:
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1), gridspec_kw={"wspace": 0.08})
    places = np.arange(len(effect.categories))
    left.barh(places, effect.contribution, 0.7, color=MAIN, xerr=_spread(effect), ecolor=INK, capsize=2)
    left.axvline(0, color=INK, linestyle=":", linewidth=1)
    left.set_xlabel(_CONTRIBUTION)
    left.xaxis.set_major_locator(MaxNLocator(3))
    _label_rows(left, list(effect.categories))
    right.barh(places, effect.share, 0.7, color=FILL, edgecolor=QUIET)
    right.set_xlabel("customers\n(%)")
    right.xaxis.set_major_formatter(PERCENT)
    right.xaxis.set_major_locator(MaxNLocator(2))
    right.set_xlim(0, None)
    right.tick_params(axis="y", length=0)
    right.grid(visible=False, axis="y")


def _spread(effect: Effect) -> npt.NDArray[np.float64] | None:
    """Give the whiskers below and above each point, float64 [2, points]; None where they would be mere dots."""
    spread = np.maximum([effect.contribution - effect.low, effect.high - effect.contribution], 0)
    return spread if spread.max() > _SEEN * np.ptp(effect.contribution) else None


def _label_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), [shorten(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _label_cells(axes: Axes, pair: PairEffect) -> None:
    axes.set_yticks(np.arange(len(pair.first_values)) + 0.5, _short(pair.first_values))
    axes.set_xticks(np.arange(len(pair.second_values)) + 0.5, _short(pair.second_values), rotation="vertical")
    axes.set(ylabel=shorten(pair.first, 24), xlabel=shorten(pair.second, 24))
    axes.tick_params(length=0)


def _short(values: Sequence[str]) -> list[str]:
    return [shorten(value, 16) for value in values]
