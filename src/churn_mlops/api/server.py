"""Runs the service: `churn-mlops serve` and `python -m churn_mlops.api`."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from churn_mlops.api.app import create_app
from churn_mlops.api.draining import DrainingServer
from churn_mlops.api.listening import announce, listen, port_of
from churn_mlops.api.memory import keep_what_is_there
from churn_mlops.api.workers import Workers
from churn_mlops.cpu_quota import count_workers

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from churn_mlops.config import Settings


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda line: None) -> None:
    """Serve until SIGTERM or SIGINT, in this process or, if WEB_CONCURRENCY says so, in several below it.

    Args:
        settings: the configuration.
        on_ready: given, once a model is being served, a shell command that asks it something.

    Raises:
        SettingsError: WEB_CONCURRENCY is no number of workers.
        CannotListen: the address is taken, or not this machine's.
        WorkerFailed: no worker starts.
    """
    workers = count_workers()
    listeners = listen(settings.serving.host, settings.serving.port)
    if workers > 1:
        Workers(settings, workers, listeners, on_ready).run()
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
    app = create_app(settings)

    def started() -> None:
        served = app.state.served
        keep_what_is_there()
        on_started(curl_line(port_of(listeners), served.schema.example()) if served else None, server)

    server = DrainingServer(app, settings.serving, started)
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has stopped
        server.run(listeners)


def curl_line(port: int, example: object) -> str:
    """Write the shell command that posts an example to /predict."""
    body = shlex.quote(json.dumps(example, ensure_ascii=False))
    return f"curl -s http://127.0.0.1:{port}/predict -H 'content-type: application/json' -d {body}"
