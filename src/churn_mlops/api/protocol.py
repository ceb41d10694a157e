"""The connection: refuses what is too much before it costs anything, and ends what takes too long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from churn_mlops.api.errors import answer_error, write_answer
from churn_mlops.errors import (
    ChurnMlopsError,
    DeadlineExceeded,
    HeadersTooLarge,
    MalformedRequest,
    Overloaded,
    SlowClient,
)

if TYPE_CHECKING:
    from asyncio import Task, Transport

    from starlette.types import Receive, Scope, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from churn_mlops.api.load import Load

GIVEN_UP: Final = "churn_mlops.given_up"
"""Where a request's scope says why its work was cancelled."""

NEVER_REFUSED: Final = frozenset({b"/health", b"/ready", b"/metrics", b"/v2/health/live", b"/v2/health/ready"})
"""What an overloaded service has to answer, or it is taken for a dead one."""

_LONG_BYTES: Final = 65536
"""Headers may not be longer; of a body this much is read before it counts as long, and after it was refused."""

_LINGER_SECONDS: Final = 2
"""How long a client that still sends has to read its answer, before what it sends makes the system discard that."""


_BETWEEN, _HEADERS, _BODY = range(3)
"""How much of a request has arrived: nothing or all, a part of its headers, a part of its body."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on requests, connections, header bytes, and on the time that each may take.

    What is refused is written straight to the connection: no task, no log line. Time is counted in sweeps of all
    connections, one a second, instead of by a timer for each request.
    """

    def __init__(self, load: Load, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._load = load
        self._stage = _BETWEEN
        self._since = load.second  # when the stage began
        self._heard = load.second  # when something was last received
        self._moved = load.second  # when something was last sent, if there is something to send
        self._unsent_bytes = 0
        self._request_bytes = 0  # of a request that did not arrive in one piece
        self._patience_seconds = load.read_timeout_seconds  # for the next request to begin
        self._ended = False
        self._task: Task[None] | None = None
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Take a connection, unless there are as many as there may be."""
        super().connection_made(transport)
        if len(self.connections) > self._load.max_connections:
            self._load.refused += 1
            self._end(Overloaded())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and the work for it in time."""
        super().connection_lost(exc)
        self._load.uploads.discard(self)
        if self._task and not self._task.done():
            self.loop.call_later(self._load.deadline_seconds, self._task.cancel)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, in pieces that are not longer than headers may be."""
        if self._ended:
            return
        if len(data) > _LONG_BYTES:
            for start in range(0, len(data), _LONG_BYTES):
                self.data_received(data[start : start + _LONG_BYTES])
            return
        self._heard = self._load.second
        super().data_received(data)
        if self._stage:
            self._count_bytes(len(data))

    def _count_bytes(self, received: int) -> None:
        self._request_bytes += received
        if self._request_bytes <= _LONG_BYTES or self._ended:
            return
        if self._stage is _HEADERS:
            self._end(HeadersTooLarge(_LONG_BYTES))
        elif self.cycle.response_complete:
            self._linger()
        elif self not in self._load.uploads:
            if self._load.admits_upload():
                self._load.uploads.add(self)
            else:
                self._load.refused += 1
                self._give_up(Overloaded())

    def on_message_begin(self) -> None:
        """Note the beginning of a request."""
        super().on_message_begin()
        self._stage = _HEADERS
        self._since = self._load.second
        self._request_bytes = 0

    def on_headers_complete(self) -> None:
        """Begin a request, whose body may come later, or refuse it."""
        self._stage = _BODY
        waits = self.cycle is not None and not self.cycle.response_complete
        if waits or self._load.admits(self.loop) or self.url.partition(b"?")[0] in NEVER_REFUSED:
            super().on_headers_complete()
        else:
            self._refuse()

    def on_message_complete(self) -> None:
        """Count a request as in flight from here: what a client takes to send it is not the service's load."""
        super().on_message_complete()
        self._stage = _BETWEEN
        self._load.uploads.discard(self)
        if not self.cycle.response_complete:
            self._load.in_flight.add(self)

    def on_response_complete(self) -> None:
        """Go on with the next request of the connection."""
        self._load.in_flight.discard(self)
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            admitted = self._load.admits(self.loop) or cycle.scope["raw_path"] in NEVER_REFUSED
            self._load.refused += not admitted
            self._start_asgi_task(cycle, app if admitted else _refuse)
        else:  # uvicorn would set a timer here; the sweep does without
            self._since = self._load.second
            self._patience_seconds = self._load.keep_alive_seconds

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._ended:
            return
        self._answering = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        if not cycle.more_body:  # it waited for the answer before
            self._load.in_flight.add(self)

    def _forget(self, task: Task[None]) -> None:
        self.tasks.discard(task)
        if task is self._task:  # otherwise the next request is already in flight
            self._load.in_flight.discard(self)

    def _refuse(self) -> None:
        """Answer 503 in place of a request; what is yet to come of its body is parsed and dropped."""
        self._load.refused += 1
        self.cycle = _ANSWERED
        self._since = self._load.second
        head = self.parser.get_method() == b"HEAD"
        if head or self.expect_100_continue or not self.parser.should_keep_alive():
            self._end(Overloaded(), with_body=not head)
        else:
            self.transport.write(self._load.refusal)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(MalformedRequest(msg))

    def _unsupported_upgrade_warning(self) -> None:
        """Leave out uvicorn's advice to install something: who offers HTTP/2 is answered in HTTP/1.1."""

    def end_if_overdue(self) -> None:
        """End the connection, or the work for it, if either has taken too long; called once a second."""
        if self._is_stuck():
            self.transport.abort()
        elif not (self._ended or self.transport.is_closing() or self._unsent_bytes):
            cycle = self._answering
            if cycle is not None and not cycle.response_complete:
                self._end_slow_request(cycle)
            else:
                self._end_idle_connection()

    def _end_slow_request(self, cycle: RequestResponseCycle) -> None:
        load = self._load
        overdue = load.second - self._since > load.deadline_seconds
        if cycle.more_body and (overdue or load.second - self._heard > load.read_timeout_seconds):
            self._give_up(SlowClient())
        elif overdue:
            self._give_up(DeadlineExceeded(load.deadline_seconds))

    def _end_idle_connection(self) -> None:
        patience = self._patience_seconds if self._stage is _BETWEEN else self._load.read_timeout_seconds
        if self._load.second - self._since <= patience:
            return
        if self._stage is _HEADERS:
            self._end(SlowClient())
        else:  # it has its answer, or never asked
            self.transport.close()

    def _is_stuck(self) -> bool:
        """Whether the client has long not read what was sent."""
        before, self._unsent_bytes = self._unsent_bytes, self.transport.get_write_buffer_size()
        if not self._unsent_bytes or self._unsent_bytes < before or not before:
            self._moved = self._load.second
        return self._load.second - self._moved > self._load.read_timeout_seconds

    def _give_up(self, error: ChurnMlopsError) -> None:
        """Cancel the work for a request, which the edge of it then answers."""
        cycle = self._answering
        if cycle is None or self._task is None or cycle.response_started:  # what is being sent may take its time
            return
        if GIVEN_UP in cycle.scope:  # and is still not answered
            self.transport.abort()
            return
        cycle.on_response = self._linger  # more of the body may be on its way
        cycle.scope[GIVEN_UP] = error  # type: ignore[typeddict-unknown-key]  # the server's own addition
        self.loop.call_soon(self._task.cancel)  # after it has begun: one that has not could not answer

    def _end(self, error: ChurnMlopsError, with_body: bool = True) -> None:
        answer = write_answer(error, [*self.server_state.default_headers, (b"connection", b"close")])
        self.transport.write(answer if with_body else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self._linger()

    def _linger(self) -> None:
        """Close in two steps, or what the client still sends would make its system discard the answer."""
        self._ended = True
        self._load.uploads.discard(self)
        self._load.in_flight.discard(self)
        if self._answering is not None:
            self._answering.disconnected = True  # whatever it still has to say
            self._answering.message_event.set()
        if not self.transport.is_closing():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503 to a request that waited for the one before it on its connection."""
    await answer_error(Overloaded())(scope, receive, send)


class _Answered:
    """Stands in the place of a request that was refused before it was made: nothing more happens to it."""

    response_complete = True
    message_event = asyncio.Event()


_ANSWERED: Final[Any] = _Answered()
