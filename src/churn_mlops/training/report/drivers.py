"""The section on what moves the risk: which features matter, and what each does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.training.report.drawing import shorten
from churn_mlops.training.report.effect_plots import plot_effect, plot_importance, plot_pair
from churn_mlops.training.report.parts import Drawing, Section, Table, cut_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.training.report.content import Effect, PairEffect, ReportContent

MOST_EFFECTS: Final = 60
"""Effects drawn, those that matter most; a page with more would take long to open and nobody would look at them."""

MOST_BARS: Final = 20
_TITLE: Final = 80
_TALL: Final = 8

_READ: Final = {
    "additive": "The effects are exact: with the intercept they add up to the log-odds of churn before calibration.",
    "reference": (
        "An effect is by how much the log-odds of churn, before calibration, change when that one feature is set to "
        "the reference customer's value; effects do not add up."
    ),
}
_HOW: Final = (
    "Above 0 raises the risk, below 0 lowers it; a contribution of 0.7 doubles the odds, -0.7 halves them. Lines, "
    "points and bars are means over the customers with that value; the band or whisker holds the middle 80 % of them, "
    "and has no width where the feature acts alone. In grey, how many customers have each value: where there are few, "
    "little is known. Effects are what the model has learnt, not what would happen if the value were changed."
)


def describe_drivers(content: ReportContent) -> Section:
    """Show importance, and effects from the most important feature down."""
    effects = sorted(content.effects, key=lambda effect: -effect.importance)
    if not effects:
        return Section("drivers", "What moves the risk", ("Effects were not measured for this version.",))
    rest = len(effects) - MOST_EFFECTS
    sentences = (
        _READ[content.manifest.explanation.kind],
        _HOW,
        *([f"The effects of the {rest:,} features that matter least are not drawn."] if rest > 0 else []),
    )
    drawn = (_draw(effect, number) for number, effect in enumerate(effects[:MOST_EFFECTS]))
    return Section(
        "drivers",
        "What moves the risk",
        sentences,
        drawings=(_draw_importance(effects), *drawn, *_draw_pairs(content.pairs)),
    )


def _draw_importance(effects: list[Effect]) -> Drawing:
    title = "Importance" + (f": the first {MOST_BARS} of {len(effects)}" if len(effects) > MOST_BARS else "")
    rows = tuple((effect.feature, f"{effect.importance:.3f}", f"{effect.missing_share:.1%}") for effect in effects)
    table = Table("All features in figures", ("feature", "importance", "missing"), rows, folded=True)
    return Drawing(title, plot_importance(effects[:MOST_BARS]), table=table, tall=len(effects) > _TALL)


def _draw(effect: Effect, number: int) -> Drawing:
    if not len(effect.contribution):
        return Drawing(shorten(effect.feature, _TITLE), None, ("No customer has a value of this feature.",))
    svg = plot_effect(effect, f"effect-{number}")
    return Drawing(shorten(effect.feature, _TITLE), svg, tuple(_notes(effect)), _tabulate(effect))


def _notes(effect: Effect) -> Iterator[str]:
    if effect.missing_contribution is not None:
        yield (
            f"Missing on {effect.missing_share:.1%} of the customers: contribution {effect.missing_contribution:+.3f}."
        )
    outside = 1 - effect.missing_share - float(effect.density.sum())
    if len(effect.density) and outside > 1e-9:
        yield f"{outside:.1%} of the customers lie beyond the ends of the axis."
    if any(shorten(category) != category for category in effect.categories):
        yield "Long names are shortened here; the table has them whole."


def _tabulate(effect: Effect) -> Table:
    values = effect.categories or [f"{value:,.6g}" for value in effect.grid]
    rows = tuple(
        (value, f"{contribution:+.3f} [{low:+.3f}, {high:+.3f}]", f"{share:.1%}")
        for value, contribution, low, high, share in zip(
            values, effect.contribution, effect.low, effect.high, effect.share, strict=True
        )
    )
    return Table("The same in figures", ("value", "contribution [10 to 90 %]", "customers"), rows, folded=True)


def _draw_pairs(pairs: tuple[PairEffect, ...]) -> Iterator[Drawing]:
    for number, pair in enumerate(pairs):
        cells = (
            (first, second, f"{pair.contribution[row, column]:+.3f}")
            for row, first in enumerate(pair.first_values)
            for column, second in enumerate(pair.second_values)
            if not np.isnan(pair.contribution[row, column])
        )
        table = Table(
            "The same in figures", (pair.first, pair.second, "contribution"), cut_rows(cells, 100), 2, folded=True
        )
        title = f"{shorten(pair.first, _TITLE // 2)} with {shorten(pair.second, _TITLE // 2)}"
        notes = [f"Mean absolute contribution {pair.importance:.3f}, beyond what each does alone."]
        if np.isnan(pair.contribution).any():
            notes.append("Cells without colour: no customer has these values.")
        yield Drawing(title, plot_pair(pair, f"pair-{number}"), tuple(notes), table)
