"""The server of one process, which stops in a way that no client notices."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import uvicorn

from churn_mlops.api.access_log import LOGGING
from churn_mlops.api.listening import turn_away
from churn_mlops.api.protocol import LimitedProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from types import FrameType

    from fastapi import FastAPI

    from churn_mlops.api.load import Load
    from churn_mlops.config.settings import ServingSettings

_log = logging.getLogger("churn_mlops.api")

_TICK_SECONDS: Final = 0.05
_CLOSE: Final = (b"connection", b"close")


class DrainingServer(uvicorn.Server):
    """Serves an application on open sockets until SIGTERM, SIGINT or `stop`.

    It then says on /ready that it is stopping, closes each connection with the answer to its next request, and goes on
    listening for `serving.drain_seconds`, so that whoever sends requests turns away by itself; only then does it stop
    listening, finish what is in flight, and end. Where nobody was connected it ends at once.

    Args:
        app: the application.
        serving: how long the phases may take.
        load: what it may take on at a time.
        on_started: called once it accepts connections, in the event loop.

    Attributes:
        others_accept: whether other processes accept from the same sockets and go on when this one ends, so that nobody
            needs to be turned away.
    """

    def __init__(self, app: FastAPI, serving: ServingSettings, load: Load, on_started: Callable[[], None]) -> None:
        # with several workers, uvicorn's Config would read WEB_CONCURRENCY and have a mind of its own
        config = uvicorn.Config(
            app,
            http=partial(LimitedProtocol, load),  # type: ignore[arg-type]  # all that is done with it is to call it
            ws="none",
            log_config=LOGGING,
            access_log=False,
            server_header=False,
            workers=1,
        )
        super().__init__(config)
        self.others_accept = False
        self._app = app
        self._serving = serving
        self._load = load
        self._swept = 0.0
        self._on_started = on_started
        self._listeners: Sequence[socket.socket] = ()
        self._answers = 0
        self._last_answer = -float("inf")
        self._stop_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the application and accept connections."""
        await super().startup(sockets)
        self._listeners = sockets or ()
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal; at once, for clients to see with the next answer."""
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Begin to stop."""
        self.should_exit = True
        if self._app.state.stopping:
            return
        self._app.state.stopping = True
        self._stop_at = time.monotonic()
        # the headers of every answer: those whose requests are in flight hold this list, on_tick makes the next from
        # the configuration
        self.server_state.default_headers.append(_CLOSE)
        self.config.encoded_headers.append(_CLOSE)

    async def on_tick(self, counter: int) -> bool:
        """Notice whether there is traffic, and once a second who has kept the service waiting."""
        if self.server_state.total_requests != self._answers:
            self._answers, self._last_answer = self.server_state.total_requests, time.monotonic()
        stop = await super().on_tick(counter)
        if time.monotonic() - self._swept >= 1:
            self._swept = time.monotonic()
            connections = [own for own in self.server_state.connections if isinstance(own, LimitedProtocol)]
            self._load.sweep(connections, self.server_state.default_headers)
        return stop

    async def main_loop(self) -> None:
        """Serve until told to stop, then let clients turn away."""
        await super().main_loop()
        _log.info("told to stop")
        end = self._stop_at + min(self._serving.drain_seconds, self._serving.grace_seconds)
        while self._is_in_use() and not self.force_exit:
            if time.monotonic() >= end:
                if self.others_accept:
                    for server in self.servers:
                        server.close()
                else:
                    turn_away(self._listeners)
                await asyncio.sleep(_TICK_SECONDS)
                return
            await asyncio.sleep(_TICK_SECONDS)
            await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and finish what is in flight in what remains of the time."""
        remaining = self._stop_at + self._serving.grace_seconds - time.monotonic()
        # uvicorn hands it to asyncio.wait_for, which takes fractions
        self.config.timeout_graceful_shutdown = max(0.0, remaining)  # type: ignore[assignment]
        await super().shutdown(sockets)

    def _is_in_use(self) -> bool:
        state = self.server_state
        recently = time.monotonic() - self._last_answer < self._serving.drain_seconds
        return bool(state.connections or state.tasks or recently)
