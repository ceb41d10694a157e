"""The command that scores everyone: what it can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from churn_mlops.inference.batch_score.options import By, Form, Options

Config = Annotated[
    Path | None,
    typer.Option(help="Configuration file. Default: the one CHURN_MLOPS_CONFIG names, or config/config.yaml."),
]


def score(
    table: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="The customers: a .csv, .csv.gz or .parquet file, a folder, a pattern."),
    ],
    output: Annotated[Path, typer.Option(help="The file to write; replaced at once when it is complete.")],
    version: Annotated[str, typer.Option(help="A version, or champion, challenger, previous.")] = "champion",
    top: Annotated[int | None, typer.Option(min=1, help="Write only so many customers, the best first.")] = None,
    by: Annotated[
        By | None,
        typer.Option(help="What is best. Default: expected_profit where the version decides by profit."),
    ] = None,
    reasons: Annotated[
        int | None, typer.Option(min=0, help="How many of each; 0: all. Default: serving.reasons.")
    ] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Default: what the output's name ends in.")] = None,
    id_column: Annotated[
        str | None,
        typer.Option("--id", help="The column of the customers' ids. Default: data.customer_id, or customer_id."),
    ] = None,
    snapshot_date: Annotated[
        str | None,
        typer.Option(help="The column that says as of when a row was true. Default: data.time, where there is one."),
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where rows go that cannot be scored. Default: beside.")] = None,
    config: Config = None,
) -> None:
    """Score every customer of a table: probability, decision, reasons in words, and what was missing or strange.

    Killed halfway, it leaves the last output as it was, and goes on where it
    was when it is started again. The same table and version give the same bytes.
    """
    # imported here, since it takes most of a second that no other command should wait for
    from churn_mlops.inference.batch_score.run import run_score

    run_score(Options(table, output, version, top, by, reasons, form, id_column, snapshot_date, rejects, config))
