"""The command that scores everyone: what it can be told."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from churn_mlops.inference.batch_score.memory import keep_what_is_freed
from churn_mlops.inference.batch_score.options import By, Form, Options

Config = Annotated[
    Path | None,
    typer.Option(help="Configuration file. Default: the one CHURN_MLOPS_CONFIG names, or config/config.yaml."),
]
Day = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], metavar="DATE", help="The day to look at customers on. Default: the one after the log."
    ),
]


def score(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="The customers: a .csv, .csv.gz or .parquet file, a folder, a pattern. Without it, the event log of "
            "the configuration (data.source: events).",
        ),
    ] = None,
    as_of: Day = None,
    features: Annotated[
        str | None, typer.Option(help="Instead of the log, what churn-mlops features export wrote of it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; replaced at once when it is complete.")
    ] = None,
    output_table: Annotated[
        str | None,
        typer.Option(help="The table to write instead: in engine.database with duckdb, in the catalogue with pyspark."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a table of that name even if it is no earlier result.")
    ] = False,
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
    """Score every customer: probability, decision, reasons in words, and what was missing or strange.

    Of a table, every row; of an event log, every customer at risk on a day.

    Killed halfway, it leaves the last output as it was, and goes on where it
    was when it is started again. The same input and version give the same bytes.
    """
    keep_what_is_freed()
    # imported here, since it takes most of a second that no other command should wait for
    from churn_mlops.inference.batch_score.run import run_score

    run_score(
        Options(
            table=table,
            as_of=as_of.date() if as_of else None,
            features=features,
            output=output,
            output_table=output_table,
            overwrite=overwrite,
            version=version,
            top=top,
            by=by,
            reasons=reasons,
            form=form,
            id_column=id_column,
            snapshot_date=snapshot_date,
            rejects=rejects,
            config=config,
        )
    )
