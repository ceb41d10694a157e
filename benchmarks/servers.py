"""Servers under measurement: each a process of its own on one core, started, waited for and stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import SERVER_CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GIVE_UP_SECONDS = 120

BARE = (
    "import os, uvicorn; from fastapi import FastAPI; app = FastAPI(); "
    "app.get('/ready')(lambda: {'status': 'ready'}); "
    "uvicorn.run(app, host=os.environ.get('HOST', '0.0.0.0'), port=int(os.environ.get('PORT', 8000)))"
)
"""A program that serves what FastAPI answers with nothing behind it."""


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        address: `http://127.0.0.1:port`.
        group: its process group, which it leads.
        start_seconds: from the start of the process to the first 200.
    """

    address: str
    group: int
    start_seconds: float

    @contextmanager
    def awake(self) -> Iterator[str]:
        """Let it run until the block is left; give its address.

        Outside of such blocks it is stopped: some servers poll all the time, and would take from the one measured.
        """
        os.killpg(self.group, signal.SIGCONT)
        try:
            yield self.address
        finally:
            os.killpg(self.group, signal.SIGSTOP)

    def resident_mb(self) -> float:
        """Give the resident memory, in MB, of the largest of its processes."""
        return max(_resident_kb(process) for process in _processes(self.group)) / 1000


@contextmanager
def serving(
    command: Sequence[str | Path], port: int, ready: str, variables: Mapping[str, str], log: Path
) -> Iterator[Server]:
    """Start a server on its core, asleep, and end it when the block is left.

    Args:
        command: what starts it, listening on the port.
        port: free, as `free_port` finds one.
        ready: the path that answers 200 once it serves.
        variables: of its environment, beside ours.
        log: takes what it prints.

    Raises:
        RuntimeError: it stopped, or was not ready in time.
    """
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *map(str, command)],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not is_ready(port, ready):
            seconds = time.perf_counter() - began
            if process.poll() is not None or seconds > GIVE_UP_SECONDS:
                raise RuntimeError(f"{command[0]} was not ready after {seconds:.0f} s:\n{log.read_text()[-3000:]}")
            time.sleep(0.002)
        server = Server(f"http://127.0.0.1:{port}", process.pid, time.perf_counter() - began)
        os.killpg(server.group, signal.SIGSTOP)
        yield server
    finally:
        _stop(process)


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_ready(port: int, path: str = "/ready") -> bool:
    """Say whether a path is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, then make it: a server's workers may outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _processes(group: int) -> list[Path]:
    """List the processes of a group; the group is the fifth field of stat, after the name in parentheses."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(after_name[2]) == group:
            found.append(stat.parent)
    return found


def _resident_kb(process: Path) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    return int(found[1]) if found else 0
