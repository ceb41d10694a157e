"""One of several processes that serve on the same sockets: what `workers` starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from churn_mlops.command_line import run_command

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection

    from churn_mlops.api.draining import DrainingServer
    from churn_mlops.config import Settings

SIGNALS = {signal.SIGTERM, signal.SIGINT}
"""What a worker is sent to end; blocked while it is made, as its parent's handlers are not for it."""

ALL_STOP = b"all stop"
"""What a worker is told before the signal, where it is not the only one to end."""

Serve = Callable[["Settings", "list[socket.socket]", Callable[["str | None", "DrainingServer"], None]], None]
"""What serves in one process: given the settings, sockets to listen on, and what to call once it does."""


def work(serve: Serve, settings: Settings, listeners: list[socket.socket], channel: Connection) -> None:
    """Serve until told to stop, or until the other end of the channel is gone; then exit.

    Args:
        serve: serves in this process.
        settings: the configuration.
        listeners: open sockets.
        channel: tells the parent what `serve` says once it accepts connections. From then on the event loop sends back
            what comes, by which the parent knows that it does not hang.
    """
    os.setpgid(0, 0)  # Ctrl-C is for the parent, which tells the workers
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def started(line: str | None, server: DrainingServer) -> None:
        loop = asyncio.get_running_loop()

        def send_back() -> None:
            try:
                message = channel.recv_bytes()
                channel.send_bytes(message)
            except (EOFError, OSError):
                loop.remove_reader(channel.fileno())
                server.others_accept = False
                server.stop()
                return
            if message == ALL_STOP:
                server.others_accept = False

        server.others_accept = True
        channel.send_bytes(json.dumps(line).encode())
        loop.add_reader(channel.fileno(), send_back)

    sys.exit(run_command(lambda: serve(settings, listeners, started)))
