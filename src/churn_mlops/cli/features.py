"""`churn-mlops features`: what is computed from an event log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from churn_mlops.config import load_settings
from churn_mlops.errors import DataError, NoModel
from churn_mlops.inference.batch_score.command import Day
from churn_mlops.inference.event_settings import follow_version
from churn_mlops.registry.served import open_registry
from churn_mlops.training.train_baseline import Config

if TYPE_CHECKING:
    from churn_mlops.config import Settings

Output = Annotated[Path, typer.Option(help="The .parquet file to write; replaced at once when it is complete.")]

features = typer.Typer(no_args_is_help=True, help="Look at the features that are made from an event log.")


@features.callback()
def _group() -> None:
    pass


@features.command("list")
def list_all(config: Config = None) -> None:
    """Show every feature of the configured log: its name, its unit, and what it is."""
    settings = _load(config)
    # imported here: no other command should wait the second that Ibis takes
    from churn_mlops.training.event_table import list_features

    for feature in list_features(settings):
        typer.echo(f"{feature.name}  [{feature.unit or 'own'}]  {feature.words}")


@features.command()
def export(
    output: Output,
    as_of: Day = None,
    version: Annotated[
        str | None,
        typer.Option(
            help="Whose features. Default: the champion's, where it was trained on an event log; else those that the "
            "configuration says."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Write the features of all customers at risk on a day, ordered by customer: for analysis, or to be scored later.

    churn-mlops features export --as-of 2024-12-31 --output features.parquet

    churn-mlops score --features features.parquet --output scores.parquet
    """
    settings = _load(config)
    settings, types, whose = _follow(settings, version)
    # imported here: no other command should wait the second that Ibis takes
    from churn_mlops.features.exporting import export_snapshot

    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    say(f"features as {whose} says")
    snapshot = export_snapshot(settings, output, as_of.date() if as_of else None, types, say)
    for line in (snapshot.log.describe(), *snapshot.notes):
        say(line)
    say(f"written: {output}, {snapshot.customers:,} customers at risk as of {snapshot.day}")


def _load(config: Path | None) -> Settings:
    settings = load_settings(config)
    if settings.data.source != "events":
        raise DataError("data.source is not 'events': the features of a table are its columns.")
    return settings


def _follow(settings: Settings, version: str | None) -> tuple[Settings, tuple[str, ...] | None, str]:
    """Choose whose features are computed: settings, event types, and what says so."""
    registry = open_registry(settings)
    try:
        manifest = registry.read(registry.resolve(version or "champion"))
    except NoModel:
        if version is not None:
            raise
        return settings, None, "the configuration"
    if version is None and manifest.event_features is None:
        return settings, None, "the configuration"
    followed = follow_version(settings, manifest)
    assert manifest.event_features is not None  # noqa: S101 - it could not be followed without
    return followed, manifest.event_features.types, f"version {manifest.version}"
