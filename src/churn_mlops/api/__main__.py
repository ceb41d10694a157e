"""`python -m churn_mlops.api`: serves the champion, as the API image does."""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    # Two things that would take a fifth of the start: looking for garbage among what is only being loaded, which goes
    # on once the service has started, and threads for numpy's linear algebra, which nothing here uses.
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from churn_mlops.api.server import serve
    from churn_mlops.command_line import run_command
    from churn_mlops.config import load_settings

    sys.exit(run_command(lambda: serve(load_settings())))
