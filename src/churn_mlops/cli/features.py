"""`churn-mlops features`: what is computed from an event log."""

from __future__ import annotations

import typer

from churn_mlops.config import load_settings
from churn_mlops.errors import DataError
from churn_mlops.training.train_baseline import Config

features = typer.Typer(no_args_is_help=True, help="Look at the features that are made from an event log.")


@features.callback()
def _group() -> None:
    pass


@features.command("list")
def list_all(config: Config = None) -> None:
    """Show every feature of the configured log: its name, its unit, and what it is."""
    settings = load_settings(config)
    if settings.data.source != "events":
        raise DataError("data.source is not 'events': the features of a table are its columns.")
    # imported here: no other command should wait the second that Ibis takes
    from churn_mlops.training.event_table import list_features

    for feature in list_features(settings):
        typer.echo(f"{feature.name}  [{feature.unit or 'own'}]  {feature.words}")
