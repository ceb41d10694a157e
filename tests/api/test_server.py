"""The real process: what it logs, how it stops, and what it says when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from churn_mlops.api.server import curl_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from churn_mlops.training.job import TrainedVersion

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    ReadLog = Callable[[Path], list[dict[str, Any]]]

ENDED_BY_SIGTERM = (0, -signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a service as a container engine does; give its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


def wait_for(log: Path, text: str) -> None:
    """Wait until a log has a text."""
    give_up = time.monotonic() + 30
    while text not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < give_up, f"{text!r} is not in the log"
        time.sleep(0.02)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket that has a port of its own, and keeps it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def connect(address: str) -> socket.socket:
    """Open a connection to a service, to send what no HTTP client would."""
    target = urllib.parse.urlsplit(address)
    connection = socket.create_connection((str(target.hostname), int(target.port or 0)))
    connection.settimeout(60)
    return connection


def receive_all(connection: socket.socket) -> bytes:
    """Read what a service sends until it closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_serves_the_champion(
    start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion
) -> None:
    """`python -m churn_mlops.api` with nothing but the artifacts folder answers every route."""
    _, address, _ = start_service(sample_artifacts)
    with httpx.Client(base_url=address) as client:
        answers = [client.get(path) for path in ("/health", "/ready", "/model", "/docs", "/openapi.json")]
        example = answers[-1].json()["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        answers.append(client.post("/predict", json=example["example"]))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert answers[-1].json()["model_version"] == sample_version.manifest.version


def test_every_line_of_the_log_is_json_and_tells_nothing_of_the_customer(
    start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion, read_log: ReadLog
) -> None:
    """Answered or refused, a request leaves id, route, status, latency and version; no value, id or query."""
    process, address, log = start_service(sample_artifacts)
    secret: dict[str, Any] = {
        "customer_id": "SECRET-CUSTOMER-4711",
        "features": {"tenure": 4711.5, "contract": "SECRET-CONTRACT"},
    }
    bodies = [
        secret,
        {**secret, "features": {"SECRET-FIELD": 4711.5, "tenure": "SECRET-TEXT"}},
        {**secret, "SECRET-FIELD": 4711.5},
        {"customer_id": ["SECRET-CUSTOMER-4711"]},
    ]
    with httpx.Client(base_url=address) as client:
        example = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
        features = {**example["application/json"]["example"]["features"], **secret["features"]}
        client.post("/predict?token=SECRET-QUERY&reasons=1", json={**secret, "features": features})
        for body in bodies:
            client.post("/predict?reasons=2&token=SECRET-QUERY", json=body)
        client.post("/predict", content=b'{"customer_id": "SECRET-CUSTOMER-4711", ')
        client.post("/predict?reasons=SECRET-QUERY", json=secret)
        client.get("/SECRET-PATH/4711.5")
    stop(process)
    text = log.read_text(encoding="utf-8")
    assert not [hidden for hidden in ("SECRET", "4711", "reasons=", "token") if hidden in text]
    requests = [line for line in read_log(log) if line["message"] == "request"]
    assert [line["status"] for line in requests] == [200, 200, 422, 422, 422, 422, 400, 422, 404]
    for line in requests[1:-1]:
        assert (line["route"], line["method"], line["logger"]) == ("/predict", "POST", "churn_mlops.access")
        assert (line["model_version"], len(line["request_id"])) == (sample_version.manifest.version, 32)
        assert 0 < line["latency_ms"] < 60_000
    assert requests[-1]["route"] is None


def test_the_log_says_at_the_start_that_the_model_is_the_sample(
    start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion, read_log: ReadLog
) -> None:
    """Nobody takes the bundled sample for their own model: the line that names the version marks it."""
    _, _, log = start_service(sample_artifacts)
    loaded = next(line for line in read_log(log) if line["message"] == "model loaded")
    assert (loaded["sample"], loaded["model_version"]) == (True, sample_version.manifest.version)


def test_without_a_model_it_is_alive_and_says_so(
    start_service: StartService, tmp_path: Path, read_log: ReadLog
) -> None:
    """An empty artifacts folder: 200 on /health, 503 on /ready, and a warning in the log."""
    (tmp_path / "empty").mkdir()
    _, address, log = start_service(tmp_path / "empty")
    statuses = [httpx.get(f"{address}/{path}").status_code for path in ("health", "ready")]
    warning = next(line for line in read_log(log) if line["message"] == "no model is served")
    assert (statuses, warning["level"], warning["error"]) == ([200, 503], "WARNING", "NoModel")


def test_a_corrupt_champion_is_an_error_in_the_log(
    start_service: StartService, copied_artifacts: Path, sample_version: TrainedVersion, read_log: ReadLog
) -> None:
    """The service lives on without the model that it refused: 200 on /health, 503 on /ready, and an error line."""
    (copied_artifacts / "models" / sample_version.manifest.version / "model.onnx").write_bytes(b"garbage")
    _, address, log = start_service(copied_artifacts)
    statuses = [httpx.get(f"{address}/{path}").status_code for path in ("health", "ready")]
    line = next(line for line in read_log(log) if line["message"] == "no model is served")
    assert (statuses, line["level"], line["error"]) == ([200, 503], "ERROR", "VersionRefused")


def test_a_request_in_flight_is_answered_after_sigterm(start_service: StartService, sample_artifacts: Path) -> None:
    """Told to stop with half a request read, it reads the rest, answers, and only then ends."""
    process, address, log = start_service(sample_artifacts)
    with connect(address) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{")
        with httpx.Client(base_url=address) as client:  # once this is answered, the request before it is being read
            client.get("/health")
        process.send_signal(signal.SIGTERM)
        wait_for(log, "Waiting for connections to close")
        connection.sendall(b'"features": {}}')
        answer = receive_all(connection)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert process.wait(timeout=60) in ENDED_BY_SIGTERM


def test_a_request_that_never_ends_does_not_hold_it_up(
    start_service: StartService, sample_artifacts: Path, read_log: ReadLog
) -> None:
    """After serving.grace_seconds it ends, whoever is still sending; the log has the request as failed."""
    process, address, log = start_service(sample_artifacts, CHURN_MLOPS__SERVING__GRACE_SECONDS="1")
    with connect(address) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{")
        httpx.get(f"{address}/health")
        assert stop(process) in ENDED_BY_SIGTERM
    assert [line["status"] for line in read_log(log) if line.get("route") == "/predict"] == [503]


def test_a_body_cut_short_is_the_clients_doing(
    start_service: StartService, sample_artifacts: Path, read_log: ReadLog
) -> None:
    """A client that hangs up in the middle of its request is logged as a 400, not as a failure of the service."""
    process, address, log = start_service(sample_artifacts)
    with connect(address) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        httpx.get(f"{address}/health")
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)
    wait_for(log, "/predict")
    stop(process)
    lines = read_log(log)
    assert [line["status"] for line in lines if line.get("route") == "/predict"] == [400]
    assert not [line for line in lines if line["level"] == "ERROR"]


def test_a_port_in_use_is_one_sentence(listening: socket.socket, sample_artifacts: Path) -> None:
    """Exit code 2, and one line on stderr that names the address and how to choose another."""
    port = listening.getsockname()[1]
    failed = run_service(sample_artifacts, CHURN_MLOPS__SERVING__PORT=str(port))
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"error: Cannot listen on 127.0.0.1:{port}: Address already in use.")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CHURN_MLOPS__SERVING__PORT": "eighty"}, "serving.port is 'eighty'"),
        ({"CHURN_MLOPS__SERVING__PORT": "70000"}, "serving.port is '70000'"),
        ({"CHURN_MLOPS__SERVING__PRT": "80"}, "CHURN_MLOPS__SERVING__PRT"),
        ({"CHURN_MLOPS_CONFIG": "/nowhere/config.yaml"}, "/nowhere/config.yaml"),
        ({"CHURN_MLOPS__SERVING__HOST": "no-such-host.invalid"}, "Cannot listen on no-such-host.invalid:"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_sentence(
    sample_artifacts: Path, variables: dict[str, str], said: str
) -> None:
    """Exit code 2, and one line on stderr that names the key, variable or file; no traceback."""
    failed = run_service(sample_artifacts, **variables)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    assert said in failed.stderr


def run_service(artifacts: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is not going to start."""
    environment = {**os.environ, "CHURN_MLOPS__ARTIFACTS__PATH": str(artifacts), **variables}
    return subprocess.run(
        [sys.executable, "-m", "churn_mlops.api"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def test_the_curl_line_survives_a_shell(tmp_path: Path) -> None:
    """What is printed can be pasted: a shell takes the body as one argument, whatever names and values are in it."""
    example = {"features": {'it\'s "quoted" $HOME `id` \\': 'ü\n"; exit 1; '}}
    line = curl_line(8000, example).replace("curl", "printf '%s\\n'", 1)
    words = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    arguments = words.split("\n", 5)
    assert arguments[1] == "http://127.0.0.1:8000/predict"
    assert json.loads(arguments[5]) == example
