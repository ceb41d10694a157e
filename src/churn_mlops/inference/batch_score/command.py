"""The command that scores everyone: its options, what it shows meanwhile, and what it says at the end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from churn_mlops.config import load_settings
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import OutputRefused
from churn_mlops.inference.batch_score.job import Order, Progress, score_customers
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.batch_score.table_source import TableSource, find_files, read_names
from churn_mlops.inference.scorer import load_version
from churn_mlops.registry.served import open_registry

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from churn_mlops.config import Settings
    from churn_mlops.registry.manifest import Manifest

_SECONDS_BETWEEN_LINES: Final = 10.0
_ID: Final = "customer_id"
_VALUE: Final = "customer_value"


def score(
    table: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="The customers: a .csv, .csv.gz or .parquet file, a folder, a pattern."),
    ],
    output: Annotated[Path, typer.Option(help="The file to write; replaced at once when it is complete.")],
    version: Annotated[str, typer.Option(help="A version, or champion, challenger, previous.")] = "champion",
    top: Annotated[int | None, typer.Option(min=1, help="Write only so many customers, the best first.")] = None,
    by: Annotated[
        Literal["probability", "expected_profit"] | None,
        typer.Option(help="What is best. Default: expected_profit where the version decides by profit."),
    ] = None,
    reasons: Annotated[
        int | None, typer.Option(min=0, help="How many of each; 0: all. Default: serving.reasons.")
    ] = None,
    form: Annotated[
        Literal["parquet", "csv"] | None, typer.Option("--format", help="Default: what the output's name ends in.")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option("--id", help="The column of the customers' ids. Default: data.customer_id, or customer_id."),
    ] = None,
    snapshot_date: Annotated[
        str | None,
        typer.Option(help="The column that says as of when a row was true. Default: data.time, where there is one."),
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where rows go that cannot be scored. Default: beside.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
) -> None:
    """Score every customer of a table: probability, decision, reasons in words, and what was missing or strange.

    Killed halfway, it leaves the last output as it was, and goes on where it
    was when it is started again. The same table and version give the same bytes.
    """
    settings = load_settings(config)
    pa.set_cpu_count(available_cpus())
    registry = open_registry(settings)
    loaded = load_version(registry, registry.resolve(version), threads=1)  # batches are scored side by side
    scorer = QuickScorer(loaded, registry.read_file(loaded.manifest))
    source = _open_source(table, output, scorer.manifest, settings, id_column, snapshot_date)
    by_profit = scorer.manifest.decision.mode == "profit"
    if by == "expected_profit" and not by_profit:
        raise OutputRefused(
            f"Version {loaded.version} decides by {scorer.manifest.decision.mode}, so it expects no profit: use --by "
            f"probability, or train with decision.mode: profit."
        )
    order = Order(
        output=output,
        rejects=rejects or output.with_name(f"{output.name.partition('.')[0]}.rejects.csv"),
        form=form or _format_of(output),
        reasons=settings.serving.reasons if reasons is None else reasons,
        top=top,
        by=by or ("expected_profit" if by_profit else "probability"),
        max_missing_share=settings.serving.max_missing_share,
        missing_values=settings.data.missing_values,
    )
    console = Console()
    with show_progress(console) as observe:
        counts = score_customers(scorer, source, order, observe)
    for line in _describe(counts, order, scorer.manifest):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_progress(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Give an observer that shows a bar and the time left on a terminal, and a line every ten seconds elsewhere."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda far: bar.update(task, completed=far.done, description=f"{far.customers:,} customers")


class _Lines:
    """Writes a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written_at = time.monotonic()
        self._first: tuple[float, float] | None = None

    def __call__(self, far: Progress) -> None:
        now = time.monotonic()
        # what an earlier run had done, and the first batch of this one, took no time of this clock
        self._first = self._first or (now, far.done)
        began, done = self._first
        if now - self._written_at < _SECONDS_BETWEEN_LINES or far.done <= done:
            return
        self._written_at = now
        left = (now - began) * (1 - far.done) / (far.done - done)
        line = f"{far.customers:,} customers, {far.done:.0%}, about {left:,.0f} s left"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _open_source(
    table: str, output: Path, manifest: Manifest, settings: Settings, id_column: str | None, time_column: str | None
) -> TableSource:
    files = find_files(table)
    if output.is_dir():
        raise OutputRefused(f"{output} is a folder; name the file to write.")
    place = Path(table).resolve()
    if output.resolve() in [file.resolve() for file in files] or place in output.resolve().parents:
        raise OutputRefused(f"{output} lies within the input, {table}: write it somewhere else.")
    names = read_names(files[0], settings.data.delimiter)
    parameters = manifest.decision.parameters
    features = manifest.signature.names
    values = [_VALUE, parameters.value_column] if parameters else []
    return TableSource(
        files,
        features,
        id_column or settings.data.customer_id or _ID,
        next((name for name in values if name in names and name not in features), None),
        time_column or (settings.data.time if settings.data.time in names else None),
        settings.data.delimiter,
    )


def _format_of(output: Path) -> Literal["parquet", "csv"]:
    endings: dict[str, Literal["parquet", "csv"]] = {".parquet": "parquet", ".csv": "csv"}
    if output.suffix not in endings:
        raise OutputRefused(f"{output} ends in {output.suffix!r}; .parquet or .csv was expected, or --format.")
    return endings[output.suffix]


def _describe(counts: Counter[str], order: Order, manifest: Manifest) -> Iterator[str]:
    scored, predicted = counts["scored"], counts["predicted"]
    share = predicted / scored
    yield f"{scored:,} customers scored by {manifest.version}; churn is predicted for {predicted:,} ({share:.1%})"
    strange = {"missing": "with a feature missing", "unseen_category": "with a category never seen"}
    strange["out_of_range"] = "with a number out of the range seen"
    found = [f"{counts[key]:,} {words}" for key, words in strange.items() if counts[key]]
    if found:
        yield ", ".join(found)
    if counts["rejected"]:
        yield f"{counts['rejected']:,} rows could not be scored; why: {order.rejects}"
    best = f", the {min(order.top, scored):,} best by {order.by.replace('_', ' ')}" if order.top else ""
    yield f"written: {order.output}{best}"
