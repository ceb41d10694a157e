"""Shows a training job: a progress bar and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from churn_mlops.training.evaluation_console import show_evaluation
from churn_mlops.training.wording import LOWER_IS_BETTER, METRIC_TITLES, show_duration, show_estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from churn_mlops.registry.manifest import Decision, Manifest
    from churn_mlops.training.job import TrainedVersion
    from churn_mlops.training.steps import Observer, Step

_FEW_SECONDS: Final = 3.0
"""So much time left is not worth a word."""


class TimeLeft(ProgressColumn):
    """Counts down from what a step said is left; once that is used up, it says nothing rather than something wrong."""

    def render(self, task: Task) -> Text:
        """Write the time left."""
        left = task.fields["ends_at"] - time.monotonic()
        return Text(f"about {show_duration(left)} left" if left > _FEW_SECONDS else "")


@contextmanager
def show_steps(console: Console) -> Iterator[Observer]:
    """Give an observer that shows each step as it begins, and what time is left where that is over a few seconds."""
    if not console.is_terminal:
        yield lambda step: console.print(_describe_step(step), markup=False, highlight=False, soft_wrap=True)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeLeft(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, ends_at=0.0)

        def observe(step: Step) -> None:
            ends_at = time.monotonic() + (step.seconds_left or 0.0)
            progress.update(
                task, description=step.name, completed=step.number - 1, total=step.total, ends_at=ends_at, refresh=True
            )

        yield observe


def _describe_step(step: Step) -> str:
    left = step.seconds_left or 0.0
    estimate = f", about {show_duration(left)} left" if left > _FEW_SECONDS else ""
    return f"[{step.number}/{step.total}] {step.name}{estimate}"


def show_version(console: Console, trained: TrainedVersion) -> None:
    """Show what was read, what was left out, how good the model is, and what is served now."""
    manifest = trained.manifest
    for line in _describe_data(manifest):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if manifest.data.rows_rejected:
        console.print(f"rejected rows, with reasons: {trained.rejects}", markup=False, highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(_table(manifest))
    else:
        for row in _rows(manifest):
            console.print(" | ".join(row), markup=False, highlight=False, soft_wrap=True)
    show_evaluation(console, manifest)
    for line in _describe_outcome(trained):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _describe_data(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    yield (
        f"{data.name}: {data.rows_read:,} rows read, {data.rows_used:,} used, {data.rows_rejected:,} rejected; "
        f"{data.churn_rate:.2%} churned"
    )
    if manifest.sample:
        yield "this is the sample that ships with the product; data.source: table trains on yours"
    if data.rows_repeated:
        yield f"{data.rows_repeated:,} rows repeat an earlier one; they are evaluated in one fold with it"
    if data.customers_repeated:
        yield f"{data.customers_repeated:,} customers have more than one row; their rows share a fold"
    kinds = [feature.kind for feature in manifest.signature.features]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    yield f"{len(kinds)} features: {counts}"
    for column, note in data.notes.items():
        yield f"note: {column!r}: {note}"
    for column, reason in data.left_out.items():
        yield f"warning: {column!r} is left out: {reason}"


def _describe_outcome(trained: TrainedVersion) -> Iterator[str]:
    manifest = trained.manifest
    yield f"lower is better: {', '.join(METRIC_TITLES[name] for name in LOWER_IS_BETTER)}"
    yield f"evaluated {manifest.evaluation.method}"
    yield from _describe_decision(manifest.decision)
    difference = max(manifest.parity.rows, manifest.parity.edge_rows)
    yield f"graph and estimator agree within {difference:.0e} on all rows and edge rows"
    if trained.champion == manifest.version:
        yield f"version {manifest.version} is champion: it is what is served"
    else:
        yield f"version {manifest.version} waits as challenger; {trained.champion} is served"
        yield f"to serve it: churn-mlops models promote {manifest.version}"


def _describe_decision(decision: Decision) -> Iterator[str]:
    share, reached, profit = decision.selected_share, decision.reached_share, decision.profit
    if share is not None and reached is not None:
        at_mean = " for a customer of mean value" if decision.parameters and decision.parameters.value_column else ""
        yield (
            f"churn is predicted by {decision.mode}, from {decision.threshold:.3f} on{at_mean}: "
            f"{share:.1%} of the customers, {reached:.1%} of the churners"
        )
    if profit is not None:
        rules = profit.chosen.per_customer, profit.everybody.chosen_gain, profit.top_decile.chosen_gain
        nobody, everybody, top_decile = map(show_estimate, rules)
        yield f"contacting them earns {nobody} per customer more than contacting nobody,"
        yield f"{everybody} more than everybody, {top_decile} more than the tenth most at risk"


def _table(manifest: Manifest) -> Table:
    header, *rows = _rows(manifest)
    table = Table()
    for place, title in enumerate(header):
        # the name of the rule's column has a line of its own: it may be long
        table.add_column(Text(title.replace(": ", ":\n", 1)), justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _rows(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    evaluation = manifest.evaluation
    yield "metric", f"{manifest.model} [95 % interval]", f"best rule: {evaluation.best_rule.column}", "no skill"
    for name, title in METRIC_TITLES.items():
        rule = evaluation.best_rule.metrics[name].value
        yield title, show_estimate(evaluation.metrics[name]), f"{rule:.3f}", f"{evaluation.no_skill[name]:.3f}"
