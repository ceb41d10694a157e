"""Environments for peers: made by the benchmark that needs one, never part of the project's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def peer_python(name: str, where: Path = HERE) -> str:
    """Give the Python of the environment that `requirements-<name>.txt` describes; make it where it is not there.

    Raises:
        subprocess.CalledProcessError: it cannot be made, for example because no package index can be reached.
    """
    folder = where / f".venv-{name}"
    python = folder / "bin" / "python"
    complete, requirements = folder / "complete", where / f"requirements-{name}.txt"
    if not complete.exists() or complete.read_text() != requirements.read_text():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        # of dozens of packages, uv makes seconds where pip takes a minute
        with_pip = [str(python), "-m", "pip", "install", "--no-compile"]
        with_uv = ["uv", "pip", "install", "--python", str(python)]
        install = with_uv if shutil.which("uv") else with_pip
        subprocess.run([*install, "-q", "-r", str(requirements)], check=True, stderr=subprocess.DEVNULL)
        complete.write_text(requirements.read_text())
    return str(python)
