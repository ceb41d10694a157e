"""Runs the real command in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured has no colours, whatever the shell that the tests were started from asks for."""
    for variable in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command, in `tmp_path` with an empty configuration; its artifacts are in `tmp_path/artifacts`."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").touch()

    def run_command(
        *arguments: str, environment: dict[str, str] | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        overrides = {f"CHURN_MLOPS__{name}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "churn_mlops", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | (environment or {}) | overrides,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run_command
