"""Runs the service in this process: `churn-mlops serve` and `python -m churn_mlops.api`."""

from __future__ import annotations

import json
import logging
import resource
import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

import uvicorn

from churn_mlops.api.access_log import LOGGING
from churn_mlops.api.app import create_app
from churn_mlops.api.keys import read_key_hashes
from churn_mlops.api.load import Load
from churn_mlops.api.protocol import LimitedProtocol
from churn_mlops.errors import CannotListen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fastapi import FastAPI

    from churn_mlops.config import Settings

_log: Final = logging.getLogger("churn_mlops.api")

_OTHER_FILES: Final = 128
"""How many files are open beside connections: a model's, the log, sockets to listen on."""


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda line: None) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight then have `serving.grace_seconds` to finish.

    Args:
        settings: the configuration.
        on_ready: given, once a model is being served, a shell command that asks it something.

    Raises:
        CannotListen: the address is taken, or not this machine's.
        SettingsError: the API keys in the environment cannot be used.
    """
    read_key_hashes()
    app = create_app(settings)
    load = Load(settings.serving)
    config = uvicorn.Config(
        app,
        http=partial(LimitedProtocol, load),  # type: ignore[arg-type]  # all that is done with it is to call it
        ws="none",
        host=settings.serving.host,
        port=settings.serving.port,
        log_config=LOGGING,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.serving.grace_seconds,
    )
    load.max_connections = _allow_connections(load.max_connections)
    _Server(config, app, load, on_ready).run()


def _allow_connections(wanted: int) -> int:
    """Let this process have so many connections open; give how many the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    if files > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    allowed = max(1, files - _OTHER_FILES)
    if allowed < wanted:
        about = {"max_connections": wanted, "connections": allowed, "open_files": files}
        _log.warning("the limit on open files allows fewer connections than configured", extra=about)
    return allowed


class _Server(uvicorn.Server):
    """Tells when it listens with a model behind it, and has its connections looked after."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, load: Load, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._app = app
        self._load = load
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as stop:  # uvicorn logs why and stops
            if isinstance(stop.__context__, OSError):
                raise CannotListen(self.config.host, self.config.port, stop.__context__) from stop
            raise
        served = self._app.state.served
        if self.started and served:
            port = self.servers[0].sockets[0].getsockname()[1]  # not the configured one where that is 0
            self._on_ready(curl_line(port, served.schema.example()))

    async def on_tick(self, counter: int) -> bool:
        stop = await super().on_tick(counter)
        if counter % 10 == 0:  # uvicorn ticks ten times a second
            state = self.server_state
            connections = [own for own in state.connections if isinstance(own, LimitedProtocol)]
            self._load.sweep(connections, state.default_headers)
        return stop


def curl_line(port: int, example: object) -> str:
    """Write the shell command that posts an example to /predict."""
    body = shlex.quote(json.dumps(example, ensure_ascii=False))
    return f"curl -s http://127.0.0.1:{port}/predict -H 'content-type: application/json' -d {body}"
