"""A standalone cluster of Spark on this machine: a master and workers, each a process of its own that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_SECONDS: Final = 120


@dataclass(frozen=True)
class Cluster:
    """A master and its workers.

    Attributes:
        address: spark://…
        status: where the master tells of itself as JSON.
        workers: the processes.
    """

    address: str
    status: str
    workers: Sequence[subprocess.Popen[bytes]]

    def kill(self, worker: int) -> None:
        """Kill a worker with all that it has started, which does not notice."""
        os.killpg(self.workers[worker].pid, signal.SIGKILL)
        self.workers[worker].wait()

    def count(self, **states: str) -> int:
        """Count the workers that the master takes to be in a state."""
        told = httpx.get(self.status, timeout=5).json()["workers"]
        return sum(worker["state"] == states["state"] for worker in told)


@contextmanager
def start_cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Start a master and workers of a processor each on free ports of 127.0.0.1, and end them all."""
    port, status = _free_port(), _free_port()
    address = f"spark://127.0.0.1:{port}"
    processes = [_start(folder, "master.Master", "--port", str(port), "--webui-port", str(status))]
    try:
        for number in range(workers):
            place = ("--work-dir", str(folder / f"worker-{number}"), "--webui-port", "0")
            processes.append(_start(folder, "worker.Worker", *place, "--cores", "1", "--memory", "1g", address))
        cluster = Cluster(address, f"http://127.0.0.1:{status}/json/", processes[1:])
        _wait_for(cluster, workers, folder)
        yield cluster
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(cluster: Cluster, workers: int, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if cluster.count(state="ALIVE") == workers:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"no cluster in {PATIENCE_SECONDS} s: {(folder / 'log').read_text()[-2000:]}")


def _start(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    import pyspark

    home = Path(pyspark.__file__).parent
    local = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder)}
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *options]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, env=os.environ | local, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
