"""The command where only what serves is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_TYPER = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "typer":
            raise ModuleNotFoundError(name)

import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "typer" else real(name, package)
sys.meta_path.insert(0, Hide())

from churn_mlops.__main__ import main

sys.exit(main())
"""


def test_without_the_ml_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    """Where typer is not installed the answer is one line with the package to install, and what does work."""
    command = [sys.executable, "-c", WITHOUT_TYPER, "train"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'churn-mlops[ml]'" in done.stderr
    assert "python -m churn_mlops.api" in done.stderr
