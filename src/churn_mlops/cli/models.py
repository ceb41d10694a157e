"""`churn-mlops models`: what versions there are, and which one is served."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from churn_mlops.cli.promotions import show_checks, show_history
from churn_mlops.cli.signing import describe_signature, keygen, sign
from churn_mlops.config import load_settings
from churn_mlops.errors import ChurnMlopsError, NoModel, RegistryError
from churn_mlops.registry.history import read_history
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.served import open_registry
from churn_mlops.registry.writing import roll_back
from churn_mlops.training.train_baseline import Config

models = typer.Typer(no_args_is_help=True, help="List, inspect, sign, promote and roll back model versions.")

Version = Annotated[str, typer.Argument(help="A version, as churn-mlops models list shows it.")]

_HEADER: Final = ("version", "part", "model", "ROC AUC", "log loss", "data")


@models.command(name="list")
def list_versions(config: Config = None) -> None:
    """List the versions, newest first, with what each is and how good it is, and who signed it."""
    registry = _registry(config)
    console = Console()
    versions = registry.versions()[::-1]
    if not versions:
        console.print("There are no versions yet; train one with: churn-mlops train", highlight=False)
        return
    notes: list[str] = []
    rows = [_row(registry, version, notes) for version in versions]
    if console.is_terminal:
        console.print(_table(rows))
    lines = [] if console.is_terminal else map(" | ".join, (_HEADER, *rows))
    for line in (*lines, *notes):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@models.command()
def show(version: Version, config: Config = None) -> None:
    """Print a version's manifest as JSON: signature, metrics with intervals, data, decision, hashes.

    Whether it is signed, and by which key, is said on stderr.
    """
    registry = _registry(config)
    typer.echo(registry.read(version).model_dump_json(indent=2))
    typer.echo(describe_signature(registry, version), err=True)


@models.command()
def promote(
    version: Annotated[str, typer.Argument(help="A version, as churn-mlops models list shows it, or: challenger.")],
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Promote it whatever the checks say.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is forced; recorded with the checks.")] = None,
) -> None:
    """Make a version champion, the one that is served, if it passes the checks; the champion becomes previous.

    It is compared with the champion on the table that the configuration
    names, on rows that neither saw. Where a check fails, nothing changes and
    the exit code is 3; promotion.* in the configuration says how strict.
    """
    _require_reason(force, reason)
    # imported here, since it takes seconds that no other command should wait for
    from churn_mlops.training.gate import promote_if_fit

    console = Console()
    _tell(promote_if_fit(load_settings(config), version, reason, lambda verdict: show_checks(console, verdict)))


@models.command()
def rollback(config: Config = None) -> None:
    """Make the previous champion champion again, at once: nothing is measured."""
    _tell(roll_back(open_registry(load_settings(config))))


@models.command()
def history(config: Config = None) -> None:
    """List the promotions and rollbacks, newest first, with what each was decided on."""
    registry = _registry(config)
    aliases = registry.aliases()
    show_history(Console(), read_history(registry), aliases.champion if aliases else None)


models.command()(sign)
models.command()(keygen)


def _require_reason(force: bool, reason: str | None) -> None:
    if force and not (reason or "").strip():
        raise RegistryError("--force also needs --reason, which is recorded: say why the checks do not hold.")
    if reason is not None and not force:
        raise RegistryError("--reason is for --force: without it the checks decide.")


def _registry(config: Config) -> Registry:
    return Registry(load_settings(config).artifacts.path)


def _tell(aliases: Aliases) -> None:
    typer.echo(f"champion: {aliases.champion}; previous: {aliases.previous or 'none'}")
    typer.echo("A running service serves it within serving.reload_seconds.")


def _table(rows: list[tuple[str, ...]]) -> Table:
    *narrow, data = _HEADER  # on a narrow terminal the name of the data gives way, not the version to be copied
    table = Table(*(Column(title, no_wrap=True) for title in narrow), data, box=None, padding=(0, 2, 0, 0))
    for *cells, name in rows:
        table.add_row(*map(Text, cells), Text(name, no_wrap=True, overflow="ellipsis"))
    return table


def _row(registry: Registry, version: str, notes: list[str]) -> tuple[str, ...]:
    part = _part(registry, version)
    try:
        manifest = registry.read(version)
    except ChurnMlopsError as error:
        notes.append(str(error))
        return version, part, "refused", "", "", ""
    if registry.signature_file(version).exists():
        notes.append(describe_signature(registry, version))
    metrics = manifest.evaluation.metrics
    figures = f"{metrics['roc_auc'].value:.3f}", f"{metrics['log_loss'].value:.3f}"
    return version, part, manifest.model, *figures, manifest.data.name


def _part(registry: Registry, version: str) -> str:
    aliases = registry.aliases()
    if aliases is not None:
        return ", ".join(aliases.parts_of(version))
    try:
        return "bundled sample" if registry.champion() == version else ""
    except NoModel:
        return ""
