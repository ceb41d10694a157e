"""`churn-mlops keys`: what clients prove with that they may ask."""

from __future__ import annotations

import typer

keys = typer.Typer(no_args_is_help=True, help="Make the keys that a service asks its clients for.")


@keys.callback()
def _group() -> None:
    """Keep `new` a command of its own while it is the only one."""


@keys.command()
def new() -> None:
    """Print a new random key, and the hash of it that CHURN_MLOPS_API_KEYS takes; nothing is stored."""
    # imported here, since it takes half a second that no other command should wait for
    from churn_mlops.api.keys import show_new_key

    show_new_key()
