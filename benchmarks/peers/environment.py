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
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        wanted = str(HERE / f"requirements-{name}.txt")
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True, stderr=subprocess.DEVNULL)
        (folder / "complete").touch()
    return str(python)
