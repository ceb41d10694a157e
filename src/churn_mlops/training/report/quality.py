"""The sections on how good a version is: headline figures, ranking, calibration and profit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.report import plots
from churn_mlops.training.report.curves import MOST_POINTS, bin_calibration
from churn_mlops.training.report.drawing import shorten
from churn_mlops.training.report.parts import Card, Drawing, Section, Table
from churn_mlops.training.wording import LOWER_IS_BETTER, METRIC_TITLES, show_estimate, show_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.registry.manifest import Horizon
    from churn_mlops.training.report.content import ProfitCurve, ReportContent
    from churn_mlops.training.report.curves import Ranking

THIS, CHAMPION = "this version", "champion"

_CONTACTED: Final = (0.05, 0.1, 0.2, 0.3, 0.5)


def describe_headline(content: ReportContent) -> Section:
    """Show each metric with its interval, beside what it must beat."""
    evaluation = content.manifest.evaluation
    cards = tuple(
        Card(
            title=title,
            value=f"{evaluation.metrics[name].value:.3f}",
            interval=show_interval(evaluation.metrics[name]),
            beside=(
                f"best rule {evaluation.best_rule.metrics[name].value:.3f}",
                f"no skill {evaluation.no_skill[name]:.3f}",
                "lower is better" if name in LOWER_IS_BETTER else "higher is better",
            ),
        )
        for name, title in METRIC_TITLES.items()
    )
    sentences = (
        f"Evaluated {evaluation.method}.",
        f"The best rule is the churn rate by the values of one column, {evaluation.best_rule.column!r}; no skill gives "
        f"everyone the base rate. A model that does not beat both is not worth serving.",
    )
    horizons = content.manifest.horizons
    tables = (_tabulate_horizons(horizons),) if horizons else ()
    return Section("headline", "How good it is", sentences, cards=cards, tables=tables)


def _tabulate_horizons(horizons: Sequence[Horizon]) -> Table:
    metrics = ("roc_auc", "log_loss", "calibration_error")
    rows = tuple(
        (
            f"{horizon.days} days",
            f"{horizon.churn_rate:.1%}",
            *(show_estimate(horizon.metrics[name]) for name in metrics),
        )
        for horizon in horizons
    )
    header = ("leaves within", "left", *(METRIC_TITLES[name] for name in metrics))
    return Table("Further horizons, on the same customers", header, rows)


def describe_ranking(content: ReportContent) -> Section:
    """Show how well churners are told from stayers."""
    counts = count_scores(content)
    rankings = plots.rank(counts)
    own, threshold = rankings[THIS], content.manifest.decision.threshold
    drawings = (
        Drawing("ROC", plots.plot_roc(rankings, threshold)),
        Drawing("Precision and recall", plots.plot_precision_recall(own, threshold)),
        Drawing("Cumulative gains", plots.plot_gains(own)),
        Drawing("Lift", plots.plot_lift(own), table=_tabulate_lift(own)),
    )
    point = own.at(threshold)
    sentences = [
        f"At the decision threshold {threshold:.2f}{_of_whom(content)}, {own.contacted_share[point]:.1%} of the "
        f"customers are predicted to leave; they are {own.true_positive_rate[point]:.1%} of the churners and "
        f"{own.false_positive_rate[point]:.1%} of the stayers."
    ]
    distinct = len(counts[THIS].scores)
    if distinct > MOST_POINTS:
        sentences.append(f"The curves are drawn through {MOST_POINTS} of {distinct:,} distinct probabilities.")
    return Section("ranking", "Ranking", tuple(sentences), drawings=drawings)


def describe_calibration(content: ReportContent) -> Section:
    """Show how true the probabilities are."""
    counts = count_scores(content)
    bins = bin_calibration(counts[THIS])
    rows = tuple(
        (f"{predicted:.1%}", f"{observed:.1%} [{low:.1%}, {high:.1%}]", f"{customers:,.0f}")
        for predicted, observed, low, high, customers in zip(*bins, strict=True)
    )
    table = Table("The bins in figures", ("predicted", "left [95 % interval]", "customers"), rows, 0, folded=True)
    within = int(np.sum((bins.low <= bins.predicted) & (bins.predicted <= bins.high)))
    sentences = (
        f"Of the customers given 30 %, three in ten should leave: the points should lie on the diagonal. Each stands "
        f"for about a tenth of the customers; the bar is the 95 % interval (Wilson) of the share who left. "
        f"In {within} of {len(bins.predicted)} bins it holds the predicted rate.",
    )
    drawing = Drawing("Observed against predicted", plots.plot_calibration(counts), table=table)
    return Section("calibration", "Calibration", sentences, drawings=(drawing,))


def describe_profit(content: ReportContent) -> Section:
    """Show what contacting customers is worth, or say that it is not known."""
    profit = content.profit
    if profit is None:
        sentence = (
            f"What a contact costs and what it saves was not given, so there is no profit to draw; the decision "
            f"threshold {content.manifest.decision.threshold:.2f} is the configured one."
        )
        return Section("profit", "Profit", (sentence,))
    sentences = (_describe_choice(profit), *([profit.sentence] if profit.sentence else []))
    svg = plots.plot_profit(profit, shorten(profit.unit))
    return Section("profit", "Profit", sentences, drawings=(Drawing("Profit by customers contacted", svg),))


def count_scores(content: ReportContent) -> dict[str, ScoreCounts]:
    """Count outcomes by probability: of this version, and of the champion where they are known."""
    counts = {THIS: ScoreCounts.count(content.churned, content.probability)}
    champion = content.champion
    if champion is not None and champion.churned is not None and champion.probability is not None:
        counts[CHAMPION] = ScoreCounts.count(champion.churned, champion.probability)
    return counts


def _describe_choice(profit: ProfitCurve) -> str:
    shares, values = profit.contacted_share, profit.profit_per_customer
    chosen, everyone = (float(np.interp(share, shares, values)) for share in (profit.chosen_share, 1.0))
    return (
        f"Contacting the {profit.chosen_share:.1%} scored highest is worth {chosen:,.2f} {profit.unit} per customer, "
        f"contacted or not; contacting everyone, {everyone:,.2f}."
    )


def _tabulate_lift(ranking: Ranking) -> Table:
    rows = tuple(
        (
            f"{share:.0%}",
            f"{np.interp(share, ranking.contacted_share, ranking.true_positive_rate):.1%}",
            f"{np.interp(share, ranking.contacted_share, ranking.true_positive_rate) / share:.2f}",
        )
        for share in _CONTACTED
    )
    return Table("Gains and lift in figures", ("contacted", "churners found", "lift"), rows, 0, folded=True)


def _of_whom(content: ReportContent) -> str:
    parameters = content.manifest.decision.parameters
    return " (of a customer of mean value)" if parameters and parameters.value_column else ""
