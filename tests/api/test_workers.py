"""Several workers behave as one service: they share its sockets, follow its registry, and none is missed for long."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from churn_mlops.registry.writing import promote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import Challenged

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    ReadLog = Callable[[Path], list[dict[str, Any]]]
    Wait = Callable[[Callable[[], object]], float]

CLIENTS = 8
MOST_SECONDS = 5
"""Until a killed worker is replaced: some fifty times what it takes, but less than a new interpreter beside load."""


def workers_of(process: subprocess.Popen[bytes]) -> set[int]:
    """Name the processes below a service."""
    return {int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


def serving(log: Path) -> set[int]:
    """Name the workers that said that they are ready."""
    return {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", log.read_text(encoding="utf-8"))}


def is_alive(pid: int) -> bool:
    """Whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def test_a_worker_that_is_killed_is_replaced(
    start_service: StartService, sample_artifacts: Path, wait_until: Wait, read_log: ReadLog
) -> None:
    """Under load it takes no more than the requests it had with it, and another serves in its place."""
    process, address, log = start_service(sample_artifacts, WEB_CONCURRENCY="2")
    wait_until(lambda: len(serving(log)) == 2 and log.read_text().count("Application startup complete") == 2)
    assert serving(log) == workers_of(process)
    ended = threading.Event()

    def ask() -> tuple[int, int]:
        asked = lost = 0
        while not ended.is_set():
            with httpx.Client(base_url=address) as client:
                try:
                    while not ended.is_set():
                        asked += client.get("/ready").status_code == 200
                except httpx.TransportError:
                    lost += 1
        return asked, lost

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask) for _ in range(CLIENTS)]
        wait_until(lambda: log.read_text().count('"/ready"') > 100)
        killed = min(workers_of(process))
        os.kill(killed, signal.SIGKILL)
        try:
            seconds = wait_until(lambda: log.read_text().count("Application startup complete") == 3)
            time.sleep(0.5)  # with the new one among them, all go on answering
        finally:
            ended.set()
    asked, lost = map(sum, zip(*(client.result() for client in clients), strict=True))
    assert asked > 100
    assert lost <= CLIENTS
    assert seconds < MOST_SECONDS
    assert (len(workers_of(process)), killed in workers_of(process)) == (2, False)
    died = [line for line in read_log(log) if line["message"] == "a worker ended and is replaced"]
    assert [(line["pid"], line["exit_code"]) for line in died] == [(killed, -signal.SIGKILL)]


def test_a_worker_that_is_told_to_stop_is_replaced(
    start_service: StartService, sample_artifacts: Path, wait_until: Wait
) -> None:
    """By somebody else than its parent: no request is lost, and the others go on accepting connections."""
    variables = {"WEB_CONCURRENCY": "2", "CHURN_MLOPS__SERVING__DRAIN_SECONDS": "0.3"}
    process, address, log = start_service(sample_artifacts, **variables)
    wait_until(lambda: log.read_text().count("Application startup complete") == 2)
    ended = threading.Event()

    def ask(reconnects: bool) -> int:
        """Ask on one connection as long as it is kept open, or on a new one each time; give how often."""
        asked = 0
        while not ended.is_set():
            with httpx.Client(base_url=address) as client:
                while not ended.is_set():
                    client.get("/health").raise_for_status()
                    asked += 1
                    if reconnects:
                        break
        return asked

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, bool(number % 2)) for number in range(CLIENTS)]
        wait_until(lambda: log.read_text().count('"/health"') > 100)
        told = min(workers_of(process))
        os.kill(told, signal.SIGTERM)
        try:
            wait_until(lambda: log.read_text().count("Application startup complete") == 3)
            time.sleep(0.5)
        finally:
            ended.set()
    assert min(client.result() for client in clients) > 1
    assert (len(workers_of(process)), told in workers_of(process)) == (2, False)


def test_workers_that_all_stop_turn_clients_away(
    start_service: StartService, sample_artifacts: Path, wait_until: Wait, tmp_path: Path
) -> None:
    """Each that has a connection does, once it has drained: nobody else accepts who comes between."""
    told = "import churn_mlops.api.draining as draining\nturn_away = draining.turn_away\n"
    told += "draining.turn_away = lambda listeners: (print('turned away', flush=True), turn_away(listeners))\n"
    (tmp_path / "sitecustomize.py").write_text(told)
    variables = {"WEB_CONCURRENCY": "2", "CHURN_MLOPS__SERVING__DRAIN_SECONDS": "0.3"}
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process, address, log = start_service(sample_artifacts, **variables, PYTHONPATH=path)
    wait_until(lambda: log.read_text().count("Application startup complete") == 2)
    with httpx.Client(base_url=address) as client:
        client.get("/health")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert "turned away" in log.read_text()


def test_a_worker_that_hangs_is_replaced(
    start_service: StartService, sample_artifacts: Path, wait_until: Wait, read_log: ReadLog, tmp_path: Path
) -> None:
    """Its process is there, but its event loop answers the parent no more; the others are left alone."""
    sooner = "import churn_mlops.api.workers as workers\nworkers._MOST_UNANSWERED = 2\n"
    (tmp_path / "sitecustomize.py").write_text(sooner)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process, address, log = start_service(sample_artifacts, WEB_CONCURRENCY="2", PYTHONPATH=path)
    wait_until(lambda: log.read_text().count("Application startup complete") == 2)
    hung, healthy = sorted(workers_of(process))
    os.kill(hung, signal.SIGSTOP)
    wait_until(lambda: log.read_text().count("Application startup complete") == 3)
    told = [(line["message"], line["pid"]) for line in read_log(log) if line["level"] == "ERROR"]
    assert told == [("a worker hangs and is killed", hung), ("a worker ended and is replaced", hung)]
    assert healthy in workers_of(process)
    assert httpx.get(f"{address}/ready").status_code == 200


def test_every_worker_follows_the_registry(
    start_service: StartService, challenged: Challenged, wait_until: Wait
) -> None:
    """After a promotion, each of them loads the version by itself."""
    variables = {"WEB_CONCURRENCY": "2", "CHURN_MLOPS__SERVING__RELOAD_SECONDS": "0.2"}
    _, address, log = start_service(challenged.registry.root, **variables)
    wait_until(lambda: log.read_text().count('"model loaded"') == 2)
    promote(challenged.registry, challenged.challenger)
    wait_until(lambda: log.read_text().count('"model loaded"') == 4)
    versions = {httpx.get(f"{address}/ready").json()["model_version"] for _ in range(20)}
    assert versions == {challenged.challenger}


def test_workers_do_not_outlive_their_parent(
    start_service: StartService, sample_artifacts: Path, wait_until: Wait
) -> None:
    """If it is killed, nothing goes on serving behind its back."""
    process, _, log = start_service(sample_artifacts, WEB_CONCURRENCY="2")
    wait_until(lambda: log.read_text().count("Application startup complete") == 2)
    workers = workers_of(process)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, workers)))


SERVE = """
import os, signal
from churn_mlops.api.server import serve
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from pathlib import Path

def ready(line):
    print(line, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

serving = ServingSettings(port=int(os.environ["PORT"]))
serve(Settings(artifacts=ArtifactsSettings(path=Path(os.environ["ARTIFACTS"])), serving=serving), on_ready=ready)
"""


def serve(artifacts: Path, port: int, workers: str = "2") -> subprocess.CompletedProcess[str]:
    """Serve until it is ready, or cannot be."""
    variables = {"ARTIFACTS": str(artifacts), "PORT": str(port), "WEB_CONCURRENCY": workers}
    command = [sys.executable, "-c", SERVE]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=60, check=False
    )


def test_the_first_worker_that_serves_says_how_to_ask(sample_artifacts: Path) -> None:
    """There is one such line, whichever of them is first."""
    done = serve(sample_artifacts, 0)
    lines = [line for line in done.stdout.splitlines() if line.startswith("curl -s http://127.0.0.1:")]
    assert (done.returncode, len(lines)) == (0, 1)


def test_a_port_in_use_is_an_error_before_any_worker_starts(sample_artifacts: Path) -> None:
    """The sentence is that of one worker."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve(sample_artifacts, taken.getsockname()[1])
    assert "CannotListen: Cannot listen on 127.0.0.1:" in done.stderr
    assert "server process" not in done.stdout


@pytest.mark.parametrize("workers", ["0", "many"])
def test_a_number_of_workers_that_is_none_is_one_sentence(sample_artifacts: Path, workers: str) -> None:
    """It is said before anything starts."""
    done = serve(sample_artifacts, 0, workers)
    assert f"SettingsError: The environment variable WEB_CONCURRENCY is {workers!r}" in done.stderr


def test_workers_that_cannot_start_end_the_service(tmp_path: Path, sample_artifacts: Path) -> None:
    """Where the first one fails, the others are stopped, and the exit is an error instead of a try every second."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos.register_at_fork(after_in_child=lambda: os._exit(7))\n")
    variables = {"CHURN_MLOPS__ARTIFACTS__PATH": str(sample_artifacts), "CHURN_MLOPS__SERVING__PORT": "0"}
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "churn_mlops.api"],
        capture_output=True,
        text=True,
        env={**os.environ, **variables, "WEB_CONCURRENCY": "2", "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "error: The service cannot start: its worker ended with exit code" in done.stderr
