"""Three times what the service can do: how fast what it accepts is answered, how fast the rest is refused, and after.

`python -m benchmarks.overload` (Linux, two cores) starts the service on one core and asks it from the other, on an open
loop: requests are due at fixed times whether or not earlier ones have been answered, and are timed from when they were
due. Its own lateness is therefore part of every figure; it is also measured, and printed. The maximum is the highest
rate at which it answers (nearly) all that is asked so; on connections that wait for their answers it may do more.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import numpy as np
import numpy.typing as npt
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT: Final = 8899
CONNECTIONS: Final = 1000
SECONDS: Final = 10
PAUSE_SECONDS: Final = 0.5
SHOWN_SECONDS: Final = 3
TRIES: Final = 6
TRY_SECONDS: Final = 2
CAUGHT_UP_SECONDS: Final = 0.1
ANSWERED_SHARE: Final = 0.99
"""Of what is asked, less than this answered 200 is too much; some are refused whenever the machine has a pause."""

SERVER_CORE, LOAD_CORE = 0, 1


Milliseconds = npt.NDArray[np.float64]


@dataclass
class Outcome:
    """What came of the requests of a phase: when each was due and answered, and how late it was sent, in seconds."""

    start: float
    due: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def latency(self, status: int, since: float = 0, until: float = np.inf) -> Milliseconds:
        """Give how long the answers of a status took that were due in a period of the phase."""
        due = np.array(self.due) - self.start
        chosen = (np.array(self.status) == status) & (due >= since) & (due < until)
        latency: Milliseconds = 1000 * (np.array(self.answered) - np.array(self.due))[chosen]
        return latency

    def is_sustained(self, requests: int) -> bool:
        """Whether the requests of the phase were answered 200, the last ones as soon as they were due."""
        is_answered = self.status.count(200) >= ANSWERED_SHARE * requests
        return is_answered and self.answered[-1] - max(self.due) < CAUGHT_UP_SECONDS

    @property
    def lateness(self) -> Milliseconds:
        """How long after it was due each request was sent."""
        return 1000 * np.array(self.late, np.float64)


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
        self._free: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._outcome = Outcome(0)
        self._ask_again_until = 0.0

    def release(self, connection: Connection) -> None:
        """Use a connection for what is waiting, or keep it."""
        now = time.perf_counter()
        if now < self._ask_again_until:
            connection.ask(now)
        elif self._waiting:
            self._ask(connection, self._waiting.popleft(), now)
        else:
            self._free.append(connection)

    def note(self, due: float, status: int) -> None:
        """Keep what came of a request."""
        self._outcome.due.append(due)
        self._outcome.status.append(status)
        self._outcome.answered.append(time.perf_counter())

    def _ask(self, connection: Connection, due: float, now: float) -> None:
        self._outcome.late.append(now - due)
        connection.ask(due)

    async def saturate(self, connections: int, seconds: float) -> Outcome:
        """Ask on some connections, on each as soon as it has its answer."""
        outcome = self._outcome = Outcome(time.perf_counter())
        self._ask_again_until = outcome.start + seconds
        for _ in range(connections):
            self._free.popleft().ask(outcome.start)
        await asyncio.sleep(seconds + PAUSE_SECONDS)
        return outcome

    async def offer(self, rate: float, seconds: float, pause_seconds: float = PAUSE_SECONDS) -> Outcome:
        """Ask at a rate, each request at its time, then wait for the last answers."""
        outcome = self._outcome = Outcome(time.perf_counter())
        for number in range(int(rate * seconds)):
            due = outcome.start + number / rate
            while (now := time.perf_counter()) < due:
                await asyncio.sleep(min(0.001, due - now))
            if self._free:
                self._ask(self._free.popleft(), due, now)
            else:
                self._waiting.append(due)
            if number % 32 == 0:
                await asyncio.sleep(0)  # or answers would be read only when all that is due has been sent
        await asyncio.sleep(pause_seconds)
        return outcome


async def open_pool(request: bytes, port: int) -> Pool:
    """Connect."""
    pool = Pool(request)
    for _ in range(CONNECTIONS):
        await asyncio.get_running_loop().create_connection(lambda: Connection(pool), "127.0.0.1", port)
    return pool


async def find_maximum(pool: Pool) -> float:
    """Find the highest rate, in requests a second, at which all that is asked on an open loop is answered."""
    await pool.saturate(64, TRY_SECONDS)  # warms it
    closed = await pool.saturate(64, TRY_SECONDS)
    low, high = 0.0, len(closed.latency(200)) / TRY_SECONDS
    for _ in range(TRIES):
        rate = (low + high) / 2
        tried = await pool.offer(rate, TRY_SECONDS)
        low, high = (rate, high) if tried.is_sustained(int(rate * TRY_SECONDS)) else (low, rate)
    return low


async def measure(request: bytes) -> None:
    """Find the maximum, then load below, far above, and below again."""
    pool = await open_pool(request, PORT)
    maximum = await find_maximum(pool)
    normal = await pool.offer(0.8 * maximum, SECONDS)
    over = await pool.offer(3 * maximum, SECONDS, pause_seconds=0)
    after = await pool.offer(0.8 * maximum, SECONDS)
    bound = 4 * np.percentile(normal.latency(200), 99)
    print(f"maximum: {maximum:.0f}/s")
    print(f"at 80 %: {_describe(normal.latency(200))}; {len(normal.latency(503))} refused")
    print(f"    sent late: {_describe(normal.lateness)}")
    print(f"at 300 %, {len(over.status) / SECONDS:.0f}/s: {len(over.latency(200)) / SECONDS:.0f}/s accepted")
    print(f"    sent late: {_describe(over.lateness)}")
    print(f"    accepted: {_describe(over.latency(200))}; p99 should be below {bound:.1f} ms")
    print(f"    accepted, from 0.5 s on: {_describe(over.latency(200, since=0.5))}")
    print(f"    refused: {_describe(over.latency(503))}; all should be below 50 ms")
    for start in np.arange(0, SHOWN_SECONDS, 0.5):
        accepted, refused = (after.latency(status, start, start + 0.5) for status in (200, 503))
        print(f"at 80 % again, {start:.1f} s after: {_describe(accepted)}; {len(refused)} refused")


def _describe(latency: Milliseconds) -> str:
    if not len(latency):
        return "none"
    middle, nearly, most = np.percentile(latency, [50, 99, 100])
    return f"{len(latency)}, p50 {middle:.1f}, p99 {nearly:.1f}, at most {most:.1f} ms"


def main() -> None:
    """Start the service and load it."""
    with service():
        os.sched_setaffinity(0, {LOAD_CORE})
        uvloop.run(measure(write_request()))


@contextmanager
def service() -> Iterator[None]:
    """Run the service on a core of its own."""
    environment = {**os.environ, "CHURN_MLOPS__SERVING__PORT": str(PORT)}
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "churn_mlops.api"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


def write_request() -> bytes:
    """Wait for the service, and write the request that its documentation shows."""
    address = f"http://127.0.0.1:{PORT}/openapi.json"
    client = httpx.Client(transport=httpx.HTTPTransport(retries=8))  # each waits twice as long
    content = client.get(address).json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    body = json.dumps(content["application/json"]["example"]).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: service\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


if __name__ == "__main__":
    main()
