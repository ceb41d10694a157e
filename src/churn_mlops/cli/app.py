"""The `churn-mlops` command: train, look at versions, promote, serve, score everyone."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import churn_mlops
from churn_mlops.cli.features import features
from churn_mlops.cli.keys import keys
from churn_mlops.cli.models import models
from churn_mlops.cli.report import report
from churn_mlops.cli.sample import sample
from churn_mlops.config import load_settings
from churn_mlops.inference.batch_score.command import score
from churn_mlops.training.train_baseline import Config
from churn_mlops.training.train_candidate import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Churn prediction you run yourself: train a calibrated model on your customer table, and serve it.",
    epilog="Start with: churn-mlops train, then churn-mlops serve. Every command explains itself with --help.",
)
app.command()(train)
app.command()(score)
app.command()(report)
app.add_typer(models, name="models")
app.add_typer(features, name="features")
app.add_typer(keys, name="keys")
app.add_typer(sample, name="sample")


@app.command()
def serve(config: Config = None) -> None:
    """Serve the champion over HTTP until stopped (serving.host and serving.port in the configuration)."""
    # imported here, since it takes most of a second that no other command should wait for
    from churn_mlops.api.server import serve as serve_api

    def show(line: str) -> None:
        sys.stderr.write(f"\nReady. Try it from another terminal:\n\n{line}\n\n")
        sys.stderr.flush()

    serve_api(load_settings(config), on_ready=show)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(churn_mlops.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass
