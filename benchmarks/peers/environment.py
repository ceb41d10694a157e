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
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        wanted = str(where / f"requirements-{name}.txt")
        # of dozens of packages, uv makes seconds where pip takes a minute
        with_pip = [str(python), "-m", "pip", "install", "--no-compile"]
        with_uv = ["uv", "pip", "install", "--python", str(python)]
        install = with_uv if shutil.which("uv") else with_pip
        subprocess.run([*install, "-q", "-r", wanted], check=True, stderr=subprocess.DEVNULL)
        (folder / "complete").touch()
    return str(python)
