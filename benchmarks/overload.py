"""Three times what the service can do: how fast what it accepts is answered, how fast the rest is refused, and after.

`python -m benchmarks.overload` (Linux, two cores) starts the service on one core and asks it from the other, on an open
loop: requests are due at fixed times whether or not earlier ones have been answered, and are timed from when they were
due. Its own lateness is therefore part of every figure; it is also measured, and printed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import numpy as np

PORT: Final = 8899
CONNECTIONS: Final = 1000
SECONDS: Final = 5
SERVER_CORE, LOAD_CORE = 0, 1


@dataclass
class Outcome:
    """What came of the requests of a phase: when each was due (from the start), status, and seconds to the answer."""

    due: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    unanswered: int = 0

    def of(self, *statuses: int, since: float = 0, until: float = np.inf) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Give the latencies, in milliseconds, of requests that were due in a period and answered with a status."""
        due, status = np.array(self.due), np.array(self.status)
        return 1000 * np.array(self.latency)[np.isin(status, statuses) & (due >= since) & (due < until)]


class Connection(asyncio.Protocol):
    """A connection with at most one request on the way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self._transport = transport
        self._pool.release(self)

    def ask(self, due: float) -> None:
        """Send the request that was due at a time."""
        self._due = due
        self._transport.write(self._pool.request)  # type: ignore[attr-defined]  # a transport for writing

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) == int(length[1]):
            self._pool.note(self._due, int(head[9:12]))
            self._received = b""
            self._pool.release(self)


class Pool:
    """The connections, and what is asked on them."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.outcome = Outcome()
        self._free: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._start = 0.0
        self._until = 0.0
        self._closed = False

    def release(self, connection: Connection) -> None:
        """Use a connection for what is waiting, or keep it."""
        now = time.perf_counter()
        if self._closed and now < self._until:
            connection.ask(now)
        elif self._waiting:
            self._ask(connection, self._waiting.popleft(), now)
        else:
            self._free.append(connection)

    def note(self, due: float, status: int) -> None:
        """Keep what came of a request."""
        self.outcome.due.append(due - self._start)
        self.outcome.status.append(status)
        self.outcome.latency.append(time.perf_counter() - due)

    def _ask(self, connection: Connection, due: float, now: float) -> None:
        self.outcome.late.append(now - due)
        connection.ask(due)

    async def saturate(self, connections: int, seconds: float) -> Outcome:
        """Ask on some connections, on each as soon as it has its answer."""
        self._begin(seconds)
        self._closed = True
        for _ in range(connections):
            self._free.popleft().ask(time.perf_counter())
        return await self._finish(seconds)

    async def offer(self, rate: float, seconds: float) -> Outcome:
        """Ask at a rate, each request at its time."""
        self._begin(seconds)
        self._closed = False
        for number in itertools.count():
            due = self._start + number / rate
            if due >= self._until:
                break
            while (now := time.perf_counter()) < due:
                await asyncio.sleep(min(0.001, due - now))
            if self._free:
                self._ask(self._free.popleft(), due, now)
            else:
                self._waiting.append(due)
            if number % 32 == 0:
                await asyncio.sleep(0)  # or answers would be read only when all that is due has been sent
        return await self._finish(self._until - time.perf_counter())

    def _begin(self, seconds: float) -> None:
        self.outcome = Outcome()
        self._start = time.perf_counter()
        self._until = self._start + seconds

    async def _finish(self, seconds: float) -> Outcome:
        await asyncio.sleep(max(seconds, 0) + 0)
        outcome = self.outcome
        return outcome


async def measure(request: bytes) -> None:
    """Find the maximum, then load below, far above, and below again."""
    loop = asyncio.get_running_loop()
    pool = Pool(request)
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(pool), "127.0.0.1", PORT)
    await pool.saturate(64, 2)
    await asyncio.sleep(0.5)
    outcome = await pool.saturate(64, SECONDS)
    maximum = len(outcome.of(200)) / SECONDS
    print(f"maximum, 64 connections: {maximum:.0f}/s, {_describe(outcome.of(200))}")
    await asyncio.sleep(0.5)
    normal = await pool.offer(0.8 * maximum, SECONDS)
    print(f"at 80 %: {_describe(normal.of(200))}, {len(normal.of(503))} refused, sent late {_describe(1000 * np.array(normal.late))}")
    await asyncio.sleep(0.5)
    over = await pool.offer(3 * maximum, SECONDS)
    print(f"at 300 %: offered {len(over.late) / SECONDS:.0f}/s, sent late {_describe(1000 * np.array(over.late))}")
    print(f"  accepted {len(over.of(200)) / SECONDS:.0f}/s: {_describe(over.of(200))}; from 0.5 s on {_describe(over.of(200, since=0.5))}")
    print(f"  refused {len(over.of(503)) / SECONDS:.0f}/s: {_describe(over.of(503))}; from 0.5 s on {_describe(over.of(503, since=0.5))}")
    after = await pool.offer(0.8 * maximum, SECONDS)
    for start in np.arange(0, SECONDS, 0.5):
        served, refused = (after.of(status, since=start, until=start + 0.5) for status in (200, 503))
        print(f"  {start:.1f} s after: {_describe(served)}, {len(refused)} refused")


def _describe(milliseconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    if not len(milliseconds):
        return "none"
    middle, nearly, most = np.percentile(milliseconds, [50, 99, 100])
    return f"p50 {middle:.1f} p99 {nearly:.1f} max {most:.1f} ms"


def main() -> None:
    """Start the service and load it."""
    environment = {**os.environ, "CHURN_MLOPS__SERVING__PORT": str(PORT)}
    with subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "churn_mlops.api"],
        env=environment,
        stdout=Path("/tmp/overload-server.log").open("wb"),
    ) as server:
        try:
            os.sched_setaffinity(0, {LOAD_CORE})
            for _ in range(100):
                try:
                    with urlopen(f"http://127.0.0.1:{PORT}/openapi.json") as answer:
                        document = json.load(answer)
                        break
                except OSError:
                    time.sleep(0.2)
            example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
            body = json.dumps(example).encode()
            head = b"POST /predict HTTP/1.1\r\nhost: service\r\ncontent-type: application/json\r\n"
            request = head + b"content-length: %d\r\n\r\n" % len(body) + body
            import uvloop

            uvloop.run(measure(request))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
