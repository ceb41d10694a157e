"""`python -m churn_mlops.inference.batch_score`: every customer of a table, scored into a file."""

from __future__ import annotations

import sys

import typer

from churn_mlops.command_line import run_command
from churn_mlops.inference.batch_score.command import score

if __name__ == "__main__":
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(score)
    sys.exit(run_command(alone))
