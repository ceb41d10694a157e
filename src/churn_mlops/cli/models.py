"""`churn-mlops models`: what versions there are, and which one is served."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from churn_mlops.config import load_settings
from churn_mlops.errors import ChurnMlopsError, NoModel
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import promote as promote_version
from churn_mlops.registry.writing import roll_back
from churn_mlops.training.train_baseline import Config

models = typer.Typer(no_args_is_help=True, help="List, inspect, promote and roll back model versions.")

Version = Annotated[str, typer.Argument(help="A version, as churn-mlops models list shows it.")]


@models.command(name="list")
def list_versions(config: Config = None) -> None:
    """List the versions, newest first, with what each is and how good it is."""
    registry = _registry(config)
    console = Console()
    rows = [_row(registry, version) for version in reversed(registry.versions())]
    if not rows:
        console.print("There are no versions yet; train one with: churn-mlops train", highlight=False)
        return
    header = ("version", "part", "model", "data", "ROC AUC", "log loss")
    if not console.is_terminal:
        for row in (header, *rows):
            console.print(" | ".join(row), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@models.command()
def show(version: Version, config: Config = None) -> None:
    """Print a version's manifest as JSON: signature, metrics with intervals, data, decision, hashes."""
    typer.echo(_registry(config).read(version).model_dump_json(indent=2))


@models.command()
def promote(version: Version, config: Config = None) -> None:
    """Make a version champion: the one that is served. The champion before becomes previous."""
    _tell(promote_version(_registry(config), version))


@models.command()
def rollback(config: Config = None) -> None:
    """Make the previous champion champion again."""
    _tell(roll_back(_registry(config)))


def _registry(config: Config) -> Registry:
    return Registry(load_settings(config).artifacts.path)


def _tell(aliases: Aliases) -> None:
    typer.echo(f"champion: {aliases.champion}; previous: {aliases.previous or 'none'}")
    typer.echo("A running service serves it from its next start on.")


def _row(registry: Registry, version: str) -> tuple[str, ...]:
    try:
        manifest = registry.read(version)
    except ChurnMlopsError as error:
        return version, _part(registry, version), "refused", str(error), "", ""
    metrics = manifest.evaluation.metrics
    return (
        version,
        _part(registry, version),
        manifest.model,
        manifest.data.name,
        f"{metrics['roc_auc'].value:.3f}",
        f"{metrics['log_loss'].value:.3f}",
    )


def _part(registry: Registry, version: str) -> str:
    aliases = registry.aliases()
    if aliases is not None:
        return ", ".join(aliases.parts_of(version))
    try:
        return "bundled sample, served until a version is trained" if registry.champion() == version else ""
    except NoModel:
        return ""
