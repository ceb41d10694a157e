"""The connection's limits, over real sockets; the clock of the sweep is turned by hand."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.datastructures import State
from uvicorn.server import ServerState

from churn_mlops.api.access_log import AccessLog
from churn_mlops.api.load import Load
from churn_mlops.api.metrics import Metrics
from churn_mlops.api.protocol import LimitedProtocol
from churn_mlops.config.settings import ServingSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]

ASK = b"POST /predict HTTP/1.1\r\nhost: service\r\ncontent-length: 2\r\n\r\n{}"
PROBE = b"GET /health?deep=1 HTTP/1.1\r\nhost: service\r\n\r\n"
OVERLOADED = "The service has as many requests as it can answer; try again a little later."


class SlowService:
    """Reads a request's body and answers its path once it is let; probes are answered at once."""

    def __init__(self) -> None:
        self.state = State({"served": None, "metrics": Metrics()})
        self.stack = AccessLog(self.answer)
        self.let = asyncio.Event()
        self.begun: list[str] = []
        self.cancelled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and log it."""
        scope["app"] = self
        await self.stack(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        self.begun.append(scope["path"])
        try:
            while scope["path"] != "/closed" and (await receive()).get("more_body"):
                pass
            if scope["path"] == "/predict":
                await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        size = 32_000_000 if scope["path"] == "/large" else 0
        body = scope["path"].encode() + bytes(size)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Serving:
    """A service that listens."""

    service: SlowService
    load: Load
    state: ServerState
    connect: Callable[[], Awaitable[Client]]

    async def send(self, data: bytes) -> Client:
        """Open a connection and send something, which arrives before this returns."""
        reader, writer = await self.connect()
        writer.write(data)
        await settle()
        return reader, writer

    async def pass_seconds(self, seconds: int) -> None:
        """Let the sweep's clock go on."""
        for _ in range(seconds):
            self.load.sweep(list(self.state.connections), [])  # type: ignore[arg-type]  # there are no others
            await settle()


async def settle() -> None:
    """Let everything happen that can."""
    await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[Serving]:
    """Listen with limits."""
    load, state, service = Load(ServingSettings(**limits)), ServerState(), SlowService()
    config = uvicorn.Config(service, log_config=None, access_log=False, ws="none")
    make = partial(LimitedProtocol, load, config=config, server_state=state, app_state={})
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Client:
        reader, writer = await asyncio.open_connection(host, port)
        opened.append(writer)
        return reader, writer

    try:
        yield Serving(service, load, state, connect)
    finally:
        service.let.set()
        server.close()
        for transport in [*(writer.transport for writer in opened), *(own.transport for own in state.connections)]:
            transport.abort()
        await settle()


async def read_answer(client: Client) -> tuple[int, dict[str, str], bytes]:
    """Read one answer: status, headers, body."""
    async with asyncio.timeout(10):
        head = (await client[0].readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in head[1:-1])
        return int(head[0].split()[1]), headers, await client[0].readexactly(int(headers["content-length"]))


async def is_closed(client: Client) -> bool:
    """Whether nothing more comes; what did come is read."""
    try:
        async with asyncio.timeout(5):
            while await client[0].read(65536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_what_is_beyond_the_limit_is_refused_at_once_and_the_connection_stays() -> None:
    """It is answered 503 with Retry-After in the one body, while the rest is worked on; then it may ask again."""

    async def run() -> None:
        async with serving(max_in_flight=2) as server:
            accepted = [await server.send(ASK) for _ in range(2)]
            refused = await server.send(ASK)
            status, headers, body = await read_answer(refused)
            assert (status, headers["retry-after"]) == (503, "1")
            assert json.loads(body) == {"error": "Overloaded", "detail": OVERLOADED, "fields": []}
            assert headers["x-content-type-options"] == "nosniff"
            assert (server.load.refused, server.service.begun) == (1, ["/predict"] * 2)
            server.service.let.set()
            assert [(await read_answer(client))[0] for client in accepted] == [200, 200]
            refused[1].write(ASK)
            assert (await read_answer(refused))[::2] == (200, b"/predict")

    asyncio.run(run())


def test_probes_are_never_refused() -> None:
    """A service that is full is not a dead one."""

    async def run() -> None:
        async with serving(max_in_flight=1) as server:
            await server.send(ASK)
            assert (await read_answer(await server.send(PROBE)))[::2] == (200, b"/health")
            assert server.load.refused == 0

    asyncio.run(run())


def test_answers_keep_the_order_of_their_requests() -> None:
    """A request that is refused after one that is still worked on is answered after it."""

    async def run() -> None:
        async with serving(max_in_flight=2) as server:
            first = await server.send(ASK + ASK + PROBE)
            assert server.service.begun == ["/predict"]
            server.load.max_in_flight = 0
            server.service.let.set()
            answers = [await read_answer(first) for _ in range(3)]
            assert [(status, headers.get("retry-after")) for status, headers, _ in answers] == [
                (200, None),
                (503, "1"),
                (200, None),
            ]
            assert server.load.refused == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (ASK.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nconnection: close\r\n"), True),
        (ASK.replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (ASK.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nexpect: 100-continue\r\n"), True),
        (b"HEAD /predict HTTP/1.1\r\n\r\n", False),
    ],
)
def test_a_refusal_ends_the_connection_where_http_wants_it(request_bytes: bytes, body: bool) -> None:
    """The client asked to close, may or may not send a body now, or would take the body of the answer for the next."""

    async def run() -> None:
        async with serving(max_in_flight=1) as server:
            await server.send(ASK)
            reader, writer = await server.send(request_bytes)
            head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"connection: close" in head
            assert bool(rest) is body
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("most", [16, 64])
def test_an_overload_shortens_the_queue_until_it_has_passed(most: int) -> None:
    """Once full, an eighth may be in flight; twenty calm turns later a burst is answered whole again."""

    async def run() -> None:
        async with serving(max_in_flight=most) as server:
            load, loop, eighth = server.load, asyncio.get_running_loop(), most // 8

            def ask(times: int) -> list[bool]:
                admitted = []
                for _ in range(times):
                    admitted.append(load.admits(loop))
                    if admitted[-1]:
                        load.in_flight.add(object())  # type: ignore[arg-type]  # only counted
                return admitted

            assert ask(most + 1) == [True] * most + [False]
            assert ask(1) == [False]
            await asyncio.sleep(0)
            load.in_flight.clear()
            assert ask(eighth + 2) == [True] * eighth + [False] * 2
            for _ in range(18):  # calm, but not for long enough
                await asyncio.sleep(0)
                load.in_flight.clear()
                assert ask(1) == [True]
            await asyncio.sleep(0)
            load.in_flight.clear()
            assert ask(eighth + 1) == [True] * eighth + [False]
            for _ in range(20):
                await asyncio.sleep(0)
                load.in_flight.clear()
                assert ask(1) == [True]
            await asyncio.sleep(0)
            load.in_flight.clear()
            assert ask(most) == [True] * most

    asyncio.run(run())


def test_what_has_not_arrived_is_no_load() -> None:
    """However many send headers and wait with the body, or trickle headers: whoever asks whole is answered."""

    async def run() -> None:
        async with serving(max_in_flight=1) as server:
            for _ in range(20):
                await server.send(ASK[:-1])
                await server.send(ASK[:20])
            server.service.let.set()
            assert (await read_answer(await server.send(ASK)))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "status"),
    [(ASK[:20], 408), (ASK[:-1], 408), (b"", None)],
    ids=["headers", "body", "nothing"],
)
def test_what_does_not_arrive_in_time_ends_the_connection(sent: bytes, status: int | None) -> None:
    """Half a request is answered 408; who says nothing is not answered. Until the time is over nothing happens."""

    async def run() -> None:
        async with serving(read_timeout_seconds=5) as server:
            client = await server.send(sent)
            await server.pass_seconds(5)
            assert server.state.connections
            await server.pass_seconds(1)
            if status:
                assert (await read_answer(client))[0] == status
            assert await is_closed(client)
            assert server.service.cancelled == sum(path == "/predict" for path in server.service.begun)

    asyncio.run(run())


def test_a_body_that_trickles_ends_at_the_deadline() -> None:
    """A byte each second keeps a connection alive, but not for longer than a request may take."""

    async def run() -> None:
        async with serving(read_timeout_seconds=2, deadline_seconds=8) as server:
            client = await server.send(ASK.replace(b": 2", b": 50"))
            for _ in range(8):
                client[1].write(b" ")
                await server.pass_seconds(1)
            assert server.service.cancelled == 0
            await server.pass_seconds(1)
            status, _, body = await read_answer(client)
            assert (status, json.loads(body)["error"]) == (408, "SlowClient")

    asyncio.run(run())


def test_headers_that_trickle_end_however_often_something_comes() -> None:
    """It counts when they began."""

    async def run() -> None:
        async with serving(read_timeout_seconds=3) as server:
            client = await server.send(b"GET / HTTP/1.1\r\n")
            for number in range(4):
                client[1].write(b"x-%d: 1\r\n" % number)
                await server.pass_seconds(1)
            assert (await read_answer(client))[0] == 408

    asyncio.run(run())


def test_a_request_that_takes_too_long_is_given_up() -> None:
    """Its work is cancelled and it is answered 503; the requests of others go on."""

    async def run() -> None:
        async with serving(deadline_seconds=5) as server:
            client = await server.send(ASK)
            await server.pass_seconds(3)
            other = await server.send(ASK)
            await server.pass_seconds(3)
            status, headers, body = await read_answer(client)
            assert (status, headers["retry-after"], len(headers["x-request-id"])) == (503, "1", 32)
            assert json.loads(body)["error"] == "DeadlineExceeded"
            assert (server.service.cancelled, len(server.load.in_flight)) == (1, 1)
            server.service.let.set()
            assert (await read_answer(other))[0] == 200

    asyncio.run(run())


def test_an_idle_connection_is_kept_for_as_long_as_it_may() -> None:
    """After an answer a client may wait longer than before its first request."""

    async def run() -> None:
        async with serving(read_timeout_seconds=1, keep_alive_seconds=6) as server:
            client = await server.send(PROBE)
            await read_answer(client)
            await server.pass_seconds(6)
            client[1].write(PROBE)
            assert (await read_answer(client))[0] == 200
            await server.pass_seconds(7)
            assert await is_closed(client)

    asyncio.run(run())


def test_a_client_that_does_not_read_is_cut_off() -> None:
    """One that reads, however slowly, is not."""

    async def run() -> None:
        async with serving(read_timeout_seconds=3) as server:
            asking = PROBE.replace(b"/health?deep=1", b"/large")
            deaf, slow = await server.send(asking), await server.send(asking)
            for _ in range(8):
                await slow[0].readexactly(3_000_000)
                await server.pass_seconds(1)
            assert len(server.state.connections) == 1
            assert not deaf[0].at_eof()
            assert len(await slow[0].read(10)) == 10

    asyncio.run(run())


@pytest.mark.parametrize("pieces", [1, 40])
def test_headers_without_end_are_refused(pieces: int) -> None:
    """At 64 KiB, whether they come at once or in pieces; shorter ones pass."""

    async def run() -> None:
        async with serving() as server:
            long = b"GET /health HTTP/1.1\r\n" + b"".join(b"x-%06d: 1\r\n" % number for number in range(6000))
            client = await server.send(b"")
            for start in range(0, len(long), len(long) // pieces + 1):
                client[1].write(long[start : start + len(long) // pieces + 1])
                await asyncio.sleep(0)
            assert (await read_answer(client))[0] == 431
            assert await is_closed(client)
            assert (await read_answer(await server.send(long[:60_004] + b"\r\n")))[0] == 200

    asyncio.run(run())


def test_the_rest_of_a_refused_body_is_not_read_to_its_end() -> None:
    """What answers before the body has arrived is read by a client that still sends; then the connection ends."""

    async def run() -> None:
        async with serving() as server:
            client = await server.send(b"POST /closed HTTP/1.1\r\ncontent-length: 1000000000\r\n\r\n")
            for _ in range(100):
                client[1].write(bytes(10_000))
                await asyncio.sleep(0)
            assert (await read_answer(client))[::2] == (200, b"/closed")
            assert await client[0].read() == b""
            client[1].close()

    asyncio.run(run())


def test_only_some_long_bodies_are_read_at_a_time() -> None:
    """Each may take memory as long as it is not whole: an eighth of the requests in flight may be such."""

    async def run() -> None:
        async with serving(max_in_flight=16) as server:
            upload = b"POST /predict HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n" + bytes(100_000)
            held = [await server.send(upload) for _ in range(2)]
            status, _, body = await read_answer(await server.send(upload))
            assert (status, json.loads(body)["error"], server.load.refused) == (503, "Overloaded", 1)
            server.service.let.set()
            held[0][1].write(bytes(900_000))
            assert (await read_answer(held[0]))[0] == 200
            assert len(server.load.uploads) == 1

    asyncio.run(run())


def test_connections_beyond_the_limit_are_told_so() -> None:
    """They are answered 503 and closed; the others stay."""

    async def run() -> None:
        async with serving(max_connections=2) as server:
            held = [await server.send(b"") for _ in range(2)]
            beyond = await server.send(ASK)
            assert (await read_answer(beyond))[0] == 503
            assert await is_closed(beyond)
            held[0][1].write(PROBE)
            assert (await read_answer(held[0]))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n{}",
    ],
)
def test_what_is_no_http_is_answered_in_the_one_body(sent: bytes) -> None:
    """With 400 and nothing about what answers; what is allowed in between is refused by whoever takes it."""

    async def run() -> None:
        async with serving() as server:
            status, headers, body = await read_answer(await server.send(sent))
            assert (status, json.loads(body)["error"]) == (400, "MalformedRequest")
            assert "server" not in headers

    asyncio.run(run())


def test_an_offer_of_http_2_is_answered_in_http_1() -> None:
    """Java's client sends one with every first request, bodies included."""

    async def run() -> None:
        async with serving() as server:
            server.service.let.set()
            offer = b"HTTP/1.1\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
            client = await server.send(ASK.replace(b"HTTP/1.1\r\n", offer))
            assert (await read_answer(client))[0] == 200

    asyncio.run(run())


def test_work_for_a_client_that_went_away_counts_until_it_ends() -> None:
    """It is still being done; then its place is free."""

    async def run() -> None:
        async with serving(max_in_flight=1) as server:
            gone = await server.send(ASK)
            gone[1].transport.abort()
            await settle()
            assert (await read_answer(await server.send(ASK)))[0] == 503
            server.service.let.set()
            await settle()
            assert (len(server.load.in_flight), len(server.state.tasks)) == (0, 0)

    asyncio.run(run())
