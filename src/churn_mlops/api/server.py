"""Runs the service: `churn-mlops serve` and `python -m churn_mlops.api`."""

from __future__ import annotations

import json
import logging
import resource
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from churn_mlops.api.app import create_app
from churn_mlops.api.counts import shared_folder
from churn_mlops.api.draining import DrainingServer
from churn_mlops.api.keys import read_key_hashes
from churn_mlops.api.listening import announce, listen, multiply, port_of
from churn_mlops.api.load import Load
from churn_mlops.api.memory import give_back_what_is_freed, keep_what_is_there
from churn_mlops.api.metrics import SHED
from churn_mlops.api.workers import Workers
from churn_mlops.cpu_quota import count_workers
from churn_mlops.registry.served import open_registry

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from churn_mlops.config import Settings

_log: Final = logging.getLogger("churn_mlops.api")

_OTHER_FILES: Final = 128
"""How many files are open beside connections: a model's, the log, sockets to listen on."""


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda line: None) -> None:
    """Serve until SIGTERM or SIGINT, in this process or, if WEB_CONCURRENCY says so, in several below it.

    Args:
        settings: the configuration.
        on_ready: given, once a model is being served, a shell command that asks it something.

    Raises:
        SettingsError: WEB_CONCURRENCY is no number of workers, or CHURN_MLOPS_API_KEYS cannot be used.
        KeyRefused: a file of serving.require_signature holds no public key.
        CannotListen: the address is taken, or not this machine's.
        WorkerFailed: no worker starts.
    """
    read_key_hashes()
    open_registry(settings)  # what is wrong with its keys is said before anything is listened on
    workers = count_workers()
    listeners = listen(settings.serving.host, settings.serving.port)
    if workers > 1:
        with shared_folder():
            Workers(serve_here, settings, workers, listeners, on_ready).run()
        return

    def started(line: str | None, server: DrainingServer) -> None:
        announce(listeners)
        if line:
            on_ready(line)

    serve_here(settings, listeners, started)


def serve_here(
    settings: Settings,
    listeners: list[socket.socket],
    on_started: Callable[[str | None, DrainingServer], None],
) -> None:
    """Serve in this process.

    Args:
        settings: the configuration.
        listeners: open sockets; closed at the end.
        on_started: called in the event loop once it accepts connections, with a shell command that asks it something,
            if it has a model, and the server.
    """
    give_back_what_is_freed()
    app = create_app(settings)
    load = Load(settings.serving)
    app.state.in_flight = load.in_flight

    def started() -> None:
        served = app.state.served
        app.state.metrics.follow(SHED, lambda: load.refused)
        keep_what_is_there()
        on_started(curl_line(port_of(listeners), served.schema.example()) if served else None, server)

    server = DrainingServer(app, settings.serving, load, started)  # configures the log, too
    load.max_connections = _allow_connections(load.max_connections)
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has stopped
        server.run(multiply(listeners))


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


def curl_line(port: int, example: object) -> str:
    """Write the shell command that posts an example to /predict."""
    body = shlex.quote(json.dumps(example, ensure_ascii=False))
    return f"curl -s http://127.0.0.1:{port}/predict -H 'content-type: application/json' -d {body}"
