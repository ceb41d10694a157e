"""`python -m churn_mlops.training.train_baseline`: the calibrated logistic baseline, from table to version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from churn_mlops.command_line import run_command
from churn_mlops.config import load_settings
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from churn_mlops.training.contest import Model

Config = Annotated[
    Path | None,
    typer.Option(help="Configuration file. Default: the one CHURN_MLOPS_CONFIG names, or config/config.yaml."),
]
IfNoChampion = Annotated[
    bool, typer.Option("--if-no-champion", help="Do nothing where a champion was registered already.")
]


def train(config: Config = None, if_no_champion: IfNoChampion = False) -> None:
    """Train a calibrated logistic regression on the customer table, evaluate it honestly, and register it.

    The same as: churn-mlops train --model logistic

    How to bring your own table: churn-mlops train --help
    """
    run_training("logistic", config, if_no_champion)


def run_training(model: Model | None, config: Path | None, if_no_champion: bool) -> None:
    """Train and show it; without a model, the one that `training.model` names."""
    settings = load_settings(config)
    console = Console()
    registry = Registry(settings.artifacts.path)
    if if_no_champion and registry.aliases() is not None:
        console.print(f"{registry.champion()} is champion already; nothing to train.", highlight=False)
        return
    # imported here, since it takes seconds that no other command should wait for
    from churn_mlops.training.console import show_steps, show_version
    from churn_mlops.training.job import train as train_model

    with show_steps(console) as observe:
        trained = train_model(settings, model or settings.training.model, observe)
    show_version(console, trained)


if __name__ == "__main__":
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(train)
    sys.exit(run_command(alone))
