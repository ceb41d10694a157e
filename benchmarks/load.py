"""Load from the second core: real customers posted by wrk over connections that stay open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
SCRIPT = Path(__file__).parent / "post_customers.lua"


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Attributes:
        requests_per_second: answered with 2xx.
        p50_ms: median latency in milliseconds.
        p99_ms: 99th percentile of it.
    """

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def check_tools() -> None:
    """Stop with a sentence where the load cannot be made."""
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise SystemExit(f"benchmarks.serving needs {tool}: install the package {package} (apt install {package}).")
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise SystemExit("benchmarks.serving needs processors 0 and 1: one for the server, one for the load.")


def put_under_load(url: str, bodies: Path, connections: int, seconds: float) -> Load:
    """Post the lines of a file, each connection one after the other, as fast as they are answered.

    Raises:
        RuntimeError: a request was not answered with 2xx; how many, and where.
    """
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    command += ["-s", str(SCRIPT), url, "--", str(bodies)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["refused"] or found["broken"] or not found["requests"]:
        raise RuntimeError(f"{url} with {connections} connections: not every request was answered with 200: {found}")
    rate = found["requests"] / found["microseconds"] * 1e6
    return Load(rate, found["p50"] / 1000, found["p99"] / 1000)
