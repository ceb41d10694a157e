"""The images on a real engine: what they add to their base, what a change costs, how soon one answers."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison import Comparison, compare
from benchmarks.servers import BARE, free_port, is_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
BASE = "python:3.13-slim-trixie"
IMAGE = "churn-mlops-bench"
BUILDS, STARTS = 3, 7


def measure() -> Iterator[Comparison]:
    """Build, change and start, if an engine answers."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        return
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(checkout)], check=True)
        for name in ("api", "ml"):
            _build(checkout, name)
            size, base = _size(f"{IMAGE}-{name}"), _size(BASE)
            yield Comparison(f"{name} image over its base", "MB", size - base, base, "the base", (size - base) / base)
        yield compare(
            "api image after a change in src/",
            "s",
            lambda: _rebuild_after_change(checkout),
            lambda: _build(checkout, "api", "--no-cache"),
            "first build",
            BUILDS,
        )
        yield compare(
            "docker run to 200 on /ready",
            "s",
            lambda: _seconds_to_ready(f"{IMAGE}-api"),
            lambda: _seconds_to_ready(f"{IMAGE}-api", "python", "-c", BARE),
            "a bare FastAPI app",
            STARTS,
        )


def _build(checkout: Path, name: str, *options: str) -> float:
    start = time.perf_counter()
    command = ["docker", "build", "-q", *options, "-f", f"docker/Dockerfile.{name}", "-t", f"{IMAGE}-{name}", "."]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    return time.perf_counter() - start


_changes: Callable[[], int] = itertools.count().__next__


def _rebuild_after_change(checkout: Path) -> float:
    module = checkout / "src" / "churn_mlops" / "__init__.py"
    module.write_text(module.read_text() + f"# change {_changes()}\n")
    return _build(checkout, "api")


def _size(image: str) -> float:
    command = ["docker", "image", "inspect", "-f", "{{.Size}}", image]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6


def _seconds_to_ready(image: str, *command: str) -> float:
    port = free_port()
    name = f"{IMAGE}-{port}"
    start = time.perf_counter()
    run = ["docker", "run", "-d", "--rm", "--name", name, "-p", f"127.0.0.1:{port}:8000", image, *command]
    subprocess.run(run, check=True, capture_output=True)
    try:
        while not is_ready(port):
            time.sleep(0.005)
        return time.perf_counter() - start
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
