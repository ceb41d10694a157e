"""Runs the command that scores everyone: from its options to the job, and from what that counted to words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from rich.console import Console

from churn_mlops.config import load_settings
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import OutputRefused
from churn_mlops.inference.batch_score.job import Order, score_customers
from churn_mlops.inference.batch_score.memory import keep_what_is_freed
from churn_mlops.inference.batch_score.progress import show_progress
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.batch_score.table_source import TableSource, find_files, read_names
from churn_mlops.inference.scorer import load_version
from churn_mlops.registry.served import open_registry

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from churn_mlops.config import Settings
    from churn_mlops.inference.batch_score.options import By, Form, Options
    from churn_mlops.registry.manifest import Manifest

_ID: Final = "customer_id"
_VALUE: Final = "customer_value"


def run_score(options: Options) -> None:
    """Score every customer, and say what came of it."""
    settings = load_settings(options.config)
    keep_what_is_freed()
    pa.set_cpu_count(available_cpus())
    registry = open_registry(settings)
    # one thread, since batches are scored side by side
    loaded = load_version(registry, registry.resolve(options.version), threads=1)
    manifest, output = loaded.manifest, options.output
    files = find_files(options.table)
    _check_output(options, files)
    order = Order(
        output=output,
        rejects=options.rejects or output.with_name(f"{output.name.partition('.')[0]}.rejects.csv"),
        form=options.form or _format_of(output),
        reasons=settings.serving.reasons if options.reasons is None else options.reasons,
        top=options.top,
        by=_choose_by(options.by, manifest),
        max_missing_share=settings.serving.max_missing_share,
        missing_values=settings.data.missing_values,
    )
    source = _open_source(files, options, manifest, settings)
    console = Console()
    with show_progress(console) as observe:
        counts = score_customers(QuickScorer(loaded, registry.read_file(manifest)), source, order, observe)
    for line in _describe(counts, order, manifest):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _choose_by(by: By | None, manifest: Manifest) -> By:
    decision = manifest.decision
    if by == "expected_profit" and decision.mode != "profit":
        raise OutputRefused(
            f"Version {manifest.version} decides by {decision.mode}, so it expects no profit: use --by probability, or "
            f"train with decision.mode: profit."
        )
    return by or ("expected_profit" if decision.mode == "profit" else "probability")


def _check_output(options: Options, files: Sequence[Path]) -> None:
    output = options.output
    if output.is_dir():
        raise OutputRefused(f"{output} is a folder; name the file to write.")
    if output.resolve() in map(Path.resolve, files) or Path(options.table).resolve() in output.resolve().parents:
        raise OutputRefused(f"{output} lies within the input, {options.table}: write it somewhere else.")


def _open_source(files: Sequence[Path], options: Options, manifest: Manifest, settings: Settings) -> TableSource:
    names = read_names(files[0], settings.data.delimiter)
    parameters = manifest.decision.parameters
    features = manifest.signature.names
    values = [_VALUE, parameters.value_column] if parameters else []
    return TableSource(
        files,
        features,
        options.id_column or settings.data.customer_id or _ID,
        next((name for name in values if name in names and name not in features), None),
        options.snapshot_date or (settings.data.time if settings.data.time in names else None),
        settings.data.delimiter,
    )


def _format_of(output: Path) -> Form:
    endings: dict[str, Form] = {".parquet": "parquet", ".csv": "csv"}
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
