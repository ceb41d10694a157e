"""Runs the command that scores everyone: from its options to the job, and from what that counted to words."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pyarrow as pa
from rich.console import Console

from churn_mlops.config import load_settings
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import OutputRefused
from churn_mlops.inference.batch_score.destination import choose_destination
from churn_mlops.inference.batch_score.job import Order, write_answers
from churn_mlops.inference.batch_score.progress import show_progress
from churn_mlops.inference.batch_score.sources import open_source
from churn_mlops.inference.batch_score.version_content import VersionContent
from churn_mlops.registry.served import open_registry

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from churn_mlops.inference.batch_score.destination import Destination
    from churn_mlops.inference.batch_score.options import By, Options
    from churn_mlops.registry.manifest import Manifest


def run_score(options: Options) -> None:
    """Score every customer, and say what came of it."""
    settings = load_settings(options.config)
    place = choose_destination(options, settings)
    pa.set_cpu_count(available_cpus())
    registry = open_registry(settings)
    manifest = registry.read(registry.resolve(options.version))
    order = Order(
        output=place.file,
        rejects=place.rejects,
        form=place.form,
        reasons=settings.serving.reasons if options.reasons is None else options.reasons,
        top=options.top,
        by=_choose_by(options.by, manifest),
        max_missing_share=settings.serving.max_missing_share,
        missing_values=settings.data.missing_values,
        name=place.name,
    )
    version = VersionContent.read(registry, manifest)
    gc.freeze()  # what is loaded by now stays: no collection has to look at it again
    console = Console()
    with (
        show_progress(console) as watcher,
        open_source(options, manifest, settings, place, watcher.begin) as opened,
    ):
        counts = write_answers(manifest, opened.ask(version, order.options), order, watcher)
    place.publish()
    for line in (*opened.told, *_describe(counts, order, manifest, place)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _choose_by(by: By | None, manifest: Manifest) -> By:
    decision = manifest.decision
    if by == "expected_profit" and decision.mode != "profit":
        raise OutputRefused(
            f"Version {manifest.version} decides by {decision.mode}, so it expects no profit: use --by probability, or "
            f"train with decision.mode: profit."
        )
    return by or ("expected_profit" if decision.mode == "profit" else "probability")


def _describe(counts: Counter[str], order: Order, manifest: Manifest, place: Destination) -> Iterator[str]:
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
    yield f"written: {place.name}{best}"
