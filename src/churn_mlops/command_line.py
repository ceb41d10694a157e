"""The edge of every command: an error meant for people becomes one line and an exit code, never a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from churn_mlops.errors import ChurnMlopsError

if TYPE_CHECKING:
    from collections.abc import Callable


def run_command(command: Callable[[], object]) -> int:
    """Run a command; print what was wrong on stderr if the product or the system refused.

    Returns:
        The exit code: 0, or that of the error (2 unless its class says otherwise).
    """
    try:
        command()
    except ChurnMlopsError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except OSError as error:  # a full or failing disk, a lock that stays taken
        sys.stderr.write(f"error: The operating system refused: {error}.\n")
        return 2
    return 0
