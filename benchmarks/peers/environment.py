"""Environments for peers: made by the benchmark that needs one, never part of the project's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def peer_python(name: str) -> str:
    """Give the Python of the environment that `requirements-<name>.txt` describes; make it where it is not there."""
    folder = HERE / f".venv-{name}"
    python = folder / "bin" / "python"
    complete, requirements = folder / "complete", HERE / f"requirements-{name}.txt"
    if not complete.exists() or complete.read_text() != requirements.read_text():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install: list[str | Path] = [python, "-m", "pip", "install", "-q", "-r", requirements]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        complete.write_text(requirements.read_text())
    return str(python)
