"""A container's health check tells a live service from everything else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from churn_mlops.api.healthcheck import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where something listens that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run_check(port: int) -> int:
    """Run the health check as a container engine does; give its exit code."""
    environment = {**os.environ, "CHURN_MLOPS__SERVING__PORT": str(port)}
    command = [sys.executable, "-m", "churn_mlops.api.healthcheck"]
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


def test_a_service_without_a_model_is_healthy(start_service: StartService, tmp_path: Path) -> None:
    """Exit code 0 while the process answers, model or not."""
    _, address, _ = start_service(tmp_path / "nothing")
    assert run_check(int(address.rpartition(":")[2])) == 0


def test_no_service_is_unhealthy(free_port: int) -> None:
    """Exit code 1, without a traceback, where nothing listens."""
    assert run_check(free_port) == 1


def test_a_service_that_does_not_answer_is_unhealthy(silent_port: int) -> None:
    """A process that hangs is not alive."""
    assert not is_alive(silent_port, timeout_seconds=0.2)
