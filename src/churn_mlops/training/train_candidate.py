"""`python -m churn_mlops.training.train_candidate`: the families compared on the same folds, from table to version."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from churn_mlops.command_line import run_command
from churn_mlops.training.train_baseline import Config, IfNoChampion, run_training


class ModelName(StrEnum):
    """What `--model` takes."""

    LOGISTIC = "logistic"
    EBM = "ebm"
    BOOSTED = "boosted"
    BLEND = "blend"
    AUTO = "auto"


def train(
    model: Annotated[
        ModelName | None,
        typer.Option(help="What to train. Default: training.model in the configuration, shipped as auto."),
    ] = None,
    config: Config = None,
    if_no_champion: IfNoChampion = False,
) -> None:
    r"""Train a churn model on the customer table, evaluate it honestly, and register it with a report.

    auto compares the others on the same folds and takes the lowest log loss,
    or the explainable one where the difference is within a standard error.

    logistic: linear, exact reasons, seconds.
    ebm: Explainable Boosting Machine, curves and pairs, exact reasons.
    boosted: LightGBM, reasons against the typical customer.
    blend: ebm and boosted, weighted.

    The table is the one that data.* in the configuration names; as shipped,
    the IBM Telco sample. The first version becomes champion and is served;
    later ones wait for: churn-mlops models promote VERSION.

    Your own table, without editing a file:

    CHURN_MLOPS__DATA__SOURCE=table \
    CHURN_MLOPS__DATA__PATH=data/customers.csv \
    CHURN_MLOPS__DATA__TARGET=churned \
    CHURN_MLOPS__DATA__POSITIVE_LABEL=yes churn-mlops train
    """
    run_training(None if model is None else model.value, config, if_no_champion)


if __name__ == "__main__":
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(train)
    sys.exit(run_command(alone))
