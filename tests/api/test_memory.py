"""What a batch took is given back."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

ROWS = 10_000
MOST_KB = 15_000
"""Two thirds of what stays where the C library keeps it."""


def resident_kb(process: subprocess.Popen[bytes]) -> int:
    """Read how much memory a process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told to give back, and only Linux tells what it has")
def test_large_batches_leave_the_process_as_small_as_it_was(
    start_service: StartService, sample_artifacts: Path, example: dict[str, Any]
) -> None:
    """But for what the code that was used for the first time takes."""
    process, address, _ = start_service(sample_artifacts)
    before = resident_kb(process)
    body = json.dumps({"customers": [example] * ROWS}).encode()
    for _ in range(3):
        answer = httpx.post(f"{address}/predict/batch", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200
    assert resident_kb(process) - before < MOST_KB
