"""`python -m churn_mlops.api.worker CHANNEL LISTENER…`: one of several processes that serve on the same sockets.

Started by `workers`. The channel is a socket to it: the settings come in, a line goes out once connections are
accepted, and when it closes there is nobody left to work for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import TYPE_CHECKING

from churn_mlops.api.server import serve_here
from churn_mlops.command_line import run_command
from churn_mlops.config import Settings

if TYPE_CHECKING:
    from churn_mlops.api.draining import DrainingServer


def work(channel: socket.socket, listeners: list[socket.socket]) -> None:
    """Serve until told to stop, or until the other end of the channel is gone."""
    settings = Settings.model_validate_json(channel.makefile("rb").readline())

    def started(line: str | None, server: DrainingServer) -> None:
        channel.sendall(json.dumps(line).encode() + b"\n")
        asyncio.get_running_loop().add_reader(channel.fileno(), server.stop)  # it is readable once it is closed

    serve_here(settings, listeners, started)


if __name__ == "__main__":
    opened = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    sys.exit(run_command(lambda: work(opened[0], opened[1:])))
