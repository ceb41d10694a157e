"""The real process under what it has to stand: a burst, sockets that only hold on, too few open files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    ReadLog = Callable[[Path], list[dict[str, Any]]]

PROBE = b"GET /health HTTP/1.1\r\nhost: service\r\n\r\n"


def connect(stack: ExitStack, address: str, sent: bytes) -> socket.socket:
    """Open a connection, until the test ends, and send something on it."""
    target = urllib.parse.urlsplit(address)
    connection = stack.enter_context(socket.create_connection((str(target.hostname), int(target.port or 0)), 30))
    connection.sendall(sent)
    return connection


def write_request(address: str) -> bytes:
    """Write the request that the documentation shows."""
    content = httpx.get(f"{address}/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    body = json.dumps(content["application/json"]["example"]).encode()
    return b"POST /predict HTTP/1.1\r\nhost: service\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def read_status(connection: socket.socket) -> int:
    """Read an answer and give its status."""
    received = b""
    while True:
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) == int(length[1]):
            return int(head.split()[1])
        more = connection.recv(65536)
        assert more, received
        received += more


def wait_for_line(read: Callable[[], list[dict[str, Any]]], message: str) -> dict[str, Any]:
    """Wait until a log has a line that begins so."""
    give_up = time.monotonic() + 30
    while not (found := [line for line in read() if line["message"].startswith(message)]):
        assert time.monotonic() < give_up, f"{message!r} is not in the log"
        time.sleep(0.05)
    return found[0]


def test_of_a_burst_as_much_is_answered_as_may_be_in_flight(
    start_service: StartService, sample_artifacts: Path, read_log: ReadLog
) -> None:
    """All of it arrives at once, as the service is held meanwhile; the rest is refused, and counted in one line."""
    process, address, log = start_service(sample_artifacts, CHURN_MLOPS__SERVING__MAX_IN_FLIGHT="8")
    request = write_request(address)
    with ExitStack() as stack:
        connections = []
        for _ in range(31):  # one after the other: together they would be an overload already
            connections.append(connect(stack, address, PROBE))
            assert read_status(connections[-1]) == 200
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        probe = connections.pop()
        for connection in connections:
            connection.sendall(request)
        probe.sendall(PROBE)
        process.send_signal(signal.SIGCONT)
        statuses = list(map(read_status, connections))
        accepted = statuses.count(200)
        assert accepted in (7, 8)  # the probe counts as well, if it was read before them
        assert statuses.count(503) == 30 - accepted
        assert read_status(probe) == 200
        for connection in connections:  # one after the other, on the connections that were refused as well
            connection.sendall(request)
            assert read_status(connection) == 200
    line = wait_for_line(lambda: read_log(log), "too many requests: some were refused")
    assert (line["level"], line["refused"]) == ("WARNING", 30 - accepted)


def test_sockets_that_only_hold_on_keep_nobody_from_an_answer(
    start_service: StartService, sample_artifacts: Path
) -> None:
    """With 500 connections that send half of something, or nothing, a customer is scored; then they are ended."""
    _, address, _ = start_service(
        sample_artifacts, CHURN_MLOPS__SERVING__MAX_IN_FLIGHT="4", CHURN_MLOPS__SERVING__READ_TIMEOUT_SECONDS="3"
    )
    request = write_request(address)
    halves = (b"", b"POST /pre", request[:60], request[:-1])
    with ExitStack() as stack:
        held = [connect(stack, address, halves[number % len(halves)]) for number in range(500)]
        for _ in range(20):
            assert read_status(connect(stack, address, request)) == 200
        for connection, sent in zip(held, halves * 125, strict=True):
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 " if sent else b"")
        assert read_status(connect(stack, address, request)) == 200


def test_connections_leave_room_for_other_files(sample_artifacts: Path, tmp_path: Path) -> None:
    """Where the system allows fewer open files than connections are configured, that is said, and those are refused."""
    log = tmp_path / "service.log"
    script = 'ulimit -n 150 && exec "$0" -m churn_mlops.api'
    variables = {"CHURN_MLOPS__ARTIFACTS__PATH": str(sample_artifacts), "CHURN_MLOPS__SERVING__PORT": "0"}
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        process = stack.enter_context(
            subprocess.Popen(["bash", "-c", script, sys.executable], stdout=output, env={**os.environ, **variables})
        )
        stack.callback(process.kill)
        read = partial(_read_whole_lines, log)
        limit = wait_for_line(read, "the limit on open files allows fewer connections than configured")
        assert (limit["connections"], limit["max_connections"], limit["open_files"]) == (22, 4096, 150)
        started = wait_for_line(read, "Uvicorn running on")
        address = started["message"].split()[3]
        connections = [connect(stack, address, b"") for _ in range(40)]
        assert [connection.recv(65536)[:13] for connection in connections[22:]] == [b"HTTP/1.1 503 "] * 18
        connections[0].sendall(PROBE)
        assert read_status(connections[0]) == 200


def _read_whole_lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]
