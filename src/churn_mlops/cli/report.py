"""`churn-mlops report`: where a version's report is, checked to be the one that was written."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from churn_mlops.config import load_settings
from churn_mlops.errors import NoReport
from churn_mlops.registry.manifest import REPORT
from churn_mlops.registry.reading import Registry
from churn_mlops.training.train_baseline import Config

if TYPE_CHECKING:
    from pathlib import Path


def report(
    version: Annotated[
        str, typer.Argument(help="A version, as churn-mlops models list shows it, or champion, challenger, previous.")
    ] = "champion",
    config: Config = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print the path of a version's report, and open it: how good the model is, why, and what it cannot do."""
    path = find_report(Registry(load_settings(config).artifacts.path), version)
    typer.echo(path)
    if open_it and not webbrowser.open(path.as_uri()):
        typer.echo("No browser could be started; open the file yourself.", err=True)


def find_report(registry: Registry, version: str) -> Path:
    """Find the report of a version or alias, after checking its hash.

    Raises:
        NoModel: the champion was asked for and there is none.
        NoReport: the version was written without one.
        RegistryError: it cannot be found or fails its checks.
    """
    manifest = registry.read(registry.resolve(version))
    if REPORT not in manifest.files:
        raise NoReport(manifest.version)
    registry.read_file(manifest, REPORT)
    return (registry.models / manifest.version / REPORT).resolve()
