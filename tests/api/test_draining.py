"""The service stops without losing a request: real processes, real signals, real load."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import select
import signal
import socket
import time
import urllib.parse
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from churn_mlops.api.listening import listen, turn_away

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    Wait = Callable[[Callable[[], object]], float]

CLIENTS = 8


class Load:
    """Clients with connections that they keep, until the service closes them; they stop when they are refused.

    Args:
        address: of the service.
        body: what they send to /predict.
    """

    def __init__(self, address: str, body: bytes) -> None:
        self._port = urllib.parse.urlsplit(address).port
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._request = head % len(body) + body
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        """Ask until the last of them is refused."""
        await asyncio.gather(*(self._one() for _ in range(CLIENTS)))

    async def _one(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionRefusedError:
                self.seen["refused"] += 1
                return
            with contextlib.closing(writer):
                try:
                    while await self._ask(reader, writer):
                        pass
                except (OSError, asyncio.IncompleteReadError):
                    self.seen["failed"] += 1

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once; whether the connection stays open."""
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
        closes = b"\r\nconnection: close\r\n" in head
        self.seen[head[9:12].decode()] += 1
        self.seen["told to close"] += closes
        return not closes


@pytest.fixture
def body(ask: Callable[..., httpx.Response]) -> bytes:
    """A request that is answered."""
    content = ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    return httpx.Request("POST", "http://x", json=content["application/json"]["example"]).content


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, "1"), (signal.SIGTERM, "2"), (signal.SIGINT, "1")])
def test_no_request_is_lost_under_load(
    start_service: StartService, sample_artifacts: Path, body: bytes, number: signal.Signals, workers: str
) -> None:
    """Eight busy connections are told to close, reconnect until the service stops listening, and lose nothing."""
    variables = {"WEB_CONCURRENCY": workers, "CHURN_MLOPS__SERVING__DRAIN_SECONDS": "0.5"}
    process, address, _ = start_service(sample_artifacts, **variables)
    load = Load(address, body)

    async def stop_under_load() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await asyncio.sleep(0.5)
            process.send_signal(number)

    asyncio.run(stop_under_load())
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    seen = load.seen
    assert (seen["failed"], seen["refused"]) == (0, CLIENTS)
    assert seen["200"] > seen["told to close"] >= CLIENTS
    assert set(seen) == {"200", "told to close", "refused"}


def test_it_says_that_it_is_stopping(
    start_service: StartService, sample_artifacts: Path, body: bytes, wait_until: Wait
) -> None:
    """While a request is unfinished, /ready answers 503 with the reason, and /predict still answers; both close."""
    process, address, _ = start_service(sample_artifacts, CHURN_MLOPS__SERVING__DRAIN_SECONDS="30")
    with connect(address) as unfinished:
        unfinished.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{")
        httpx.get(f"{address}/health")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{address}/ready").status_code == 503)
        ready, predicted = httpx.get(f"{address}/ready"), httpx.post(f"{address}/predict", content=body)
        assert (ready.json()["error"], predicted.status_code) == ("ShuttingDown", 200)
        assert [answer.headers["Connection"] for answer in (ready, predicted)] == ["close"] * 2
        process.send_signal(signal.SIGINT)  # Ctrl-C again: at once
        process.wait(timeout=30)


def connect(address: str) -> socket.socket:
    """Open a connection to a service."""
    target = urllib.parse.urlsplit(address)
    return socket.create_connection((str(target.hostname), int(target.port or 0)))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_connections_it_ends_at_once(start_service: StartService, sample_artifacts: Path, workers: str) -> None:
    """Nobody waits for a service that nobody uses, however long it would drain."""
    variables = {"WEB_CONCURRENCY": workers, "CHURN_MLOPS__SERVING__DRAIN_SECONDS": "60"}
    process, _, _ = start_service(sample_artifacts, **variables)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) in (0, -signal.SIGTERM)


def test_an_idle_connection_does_not_hold_it_up(start_service: StartService, sample_artifacts: Path) -> None:
    """A client that keeps a connection and sends nothing is waited for as long as it drains, not longer."""
    process, address, _ = start_service(sample_artifacts, CHURN_MLOPS__SERVING__DRAIN_SECONDS="0.3")
    with connect(address):
        httpx.get(f"{address}/health")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) in (0, -signal.SIGTERM)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listener of the service's kind."""
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        yield listener


def test_a_connection_begun_before_is_not_turned_away(listening: socket.socket) -> None:
    """What the kernel has accepted is there to be accepted; whoever comes later is ignored."""
    with socket.create_connection(listening.getsockname()) as early:
        turn_away([listening])
        with pytest.raises(TimeoutError):
            socket.create_connection(listening.getsockname(), timeout=0.2)
        accepted, _ = listening.accept()
        with accepted:
            early.sendall(b"hello")
            assert accepted.recv(5) == b"hello"


def test_whoever_is_turned_away_is_refused_in_the_end(listening: socket.socket) -> None:
    """A client asks again after a second, and then nobody listens."""
    turn_away([listening])
    address = listening.getsockname()
    begin = time.monotonic()
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(address)
        listening.close()
        select.select([], [client], [], 10)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert time.monotonic() - begin < 5
