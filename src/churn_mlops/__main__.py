"""The `churn-mlops` command."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """Run the command line, if what it is made of is installed."""
    if find_spec("typer") is None:
        sys.stderr.write(
            "error: the churn-mlops command needs the ml extra: pip install 'churn-mlops[ml]'. "
            "What is installed here serves with: python -m churn_mlops.api\n"
        )
        return 2
    from churn_mlops.cli.app import app
    from churn_mlops.command_line import run_command

    return run_command(app)


if __name__ == "__main__":
    sys.exit(main())
