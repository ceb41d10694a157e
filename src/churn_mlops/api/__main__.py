"""`python -m churn_mlops.api`: serves the champion, as the API image does."""

from __future__ import annotations

import sys

from churn_mlops.api.server import serve
from churn_mlops.command_line import run_command
from churn_mlops.config import load_settings

if __name__ == "__main__":
    sys.exit(run_command(lambda: serve(load_settings())))
