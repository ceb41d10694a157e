"""`churn-mlops sample`: data to try everything on, as large as wanted."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from churn_mlops.errors import SampleRefused
from churn_mlops.training.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from churn_mlops.data.event_sample.writing import SampleSize, Written
    from churn_mlops.training.steps import Observer

sample = typer.Typer(no_args_is_help=True, help="Make data to try everything on, as large as you like.")

_CUSTOMERS: Final = 10_000
_STEPS: Final = 20


@sample.callback()
def _group() -> None:
    """Keep `events` a command of its own while it is the only one."""


@sample.command()
def events(
    output: Annotated[Path, typer.Option(help="Folder to write to; it must not exist yet, or be empty.")],
    customers: Annotated[
        int | None, typer.Option(help=f"How many customers. Default: {_CUSTOMERS:,}, unless --events says.")
    ] = None,
    at_least: Annotated[
        int | None, typer.Option("--events", help="How many events at least; customers are added until there are.")
    ] = None,
    days: Annotated[int, typer.Option(help="How many days, up to the end of 2024.")] = 730,
    seed: Annotated[int, typer.Option(help="The same seed and sizes give the same bytes.")] = 0,
    dirty: Annotated[bool, typer.Option("--dirty", help="Add rows that should be refused, 0.4 % of them.")] = False,
) -> None:
    r"""Write an invented event log of a subscription business, as Parquet.

    events/*.parquet: logins, usage, payments, failed ones, tickets and more;
    some arrive late, some twice.
    customers.parquet: plan, price, country, …, a row from each change on.
    cancellations.parquet: who left, when, and when that was written down.

    Customers have habits of their own, seasons and troubles; prices rise once.
    Some leave after a visible decline, some out of the blue, and some who
    decline stay: churn can be foreseen in part, as in life.

    churn-mlops sample events --output data/log

    churn-mlops sample events --output data/large --events 100000000
    """
    # imported here, since it takes seconds that no other command should wait for
    from churn_mlops.data.event_sample.writing import (
        CANCELLATIONS_FILE,
        CUSTOMERS_FILE,
        EVENTS_FOLDER,
        SampleSize,
        write_sample,
    )
    from churn_mlops.training.console import show_steps

    if customers is not None and at_least is not None:
        raise SampleRefused("Give either --customers or --events: one follows from the other.")
    size = (
        SampleSize(days, _CUSTOMERS if customers is None else customers)
        if at_least is None
        else SampleSize(days, at_least, "events")
    )
    console = Console()
    with show_steps(console) as observe:
        written = write_sample(output, size, seed, dirty, _tell(observe, size))
    for name, content in (
        (f"{EVENTS_FOLDER}/*.parquet", f"{written.events:,} events of {written.customers:,} customers"),
        (CUSTOMERS_FILE, f"{written.customer_rows:,} rows, one for each customer and one for each change"),
        (CANCELLATIONS_FILE, f"{written.cancellations:,} customers who left"),
    ):
        console.print(f"{output / name}: {content}", markup=False, highlight=False, soft_wrap=True)


def _tell(observe: Observer, size: SampleSize) -> Callable[[Written], None]:
    """Tell of the progress as of the steps of a job: each a twentieth of all."""
    began = time.monotonic()
    told = 0

    def tell(written: Written) -> None:
        nonlocal told
        share = min(1.0, size.share_written(written))
        number = min(_STEPS, 1 + int(share * _STEPS))
        if number > told:
            told = number
            left = (time.monotonic() - began) * (1 - share) / share
            observe(Step(f"{written.events:,} events written", number, _STEPS, left))

    return tell
