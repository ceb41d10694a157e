"""A standalone cluster of Spark on this machine: a master and workers, each a process of its own that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import httpx
import pyspark
import pytest

PATIENCE_SECONDS: Final = 120


class Cluster:
    """A master and workers of a processor each, on free ports of 127.0.0.1.

    Args:
        folder: for their logs and files.

    Attributes:
        address: spark://…
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        port, status = _free_port(), _free_port()
        self.address = f"spark://127.0.0.1:{port}"
        self._status = f"http://127.0.0.1:{status}/json/"
        self._processes = [self._start("master.Master", "--port", str(port), "--webui-port", str(status))]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it belongs to the cluster."""
        before = self._count_alive()
        place = ("--work-dir", str(self._folder / f"worker-{len(self._processes)}"), "--webui-port", "0")
        worker = self._start("worker.Worker", *place, "--cores", "1", "--memory", "1g", self.address)
        self._processes.append(worker)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._count_alive() <= before:
            if time.monotonic() > deadline:
                pytest.fail(f"no worker in {PATIENCE_SECONDS} s: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        return worker

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process by SIGKILL, with all that it has started: none of them notices."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        """Kill them all."""
        for process in self._processes:
            self.kill(process)

    def _count_alive(self) -> int:
        try:
            told = httpx.get(self._status, timeout=5).json()["workers"]
        except httpx.TransportError:
            return 0
        return sum(worker["state"] == "ALIVE" for worker in told)

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        home = Path(pyspark.__file__).parent
        local = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(self._folder)}
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, *options],
                env=os.environ | local,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
