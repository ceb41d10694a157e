"""The sockets that the service listens on: opened before anything else, and closed without losing a connection."""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from churn_mlops.errors import CannotListen

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAITING_CONNECTIONS: Final = 2048

_ACCEPTED_AT_ONCE: Final = 16
"""How many connections a turn of the event loop may bring."""

_log = logging.getLogger("churn_mlops.api")


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that a host name has.

    Raises:
        CannotListen: one is taken, or not this machine's.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            listeners.append(socket.create_server(address, family=family, backlog=_WAITING_CONNECTIONS))
    except OSError as error:
        close(listeners)
        raise CannotListen(host, port, error) from error
    return listeners


def port_of(listeners: Sequence[socket.socket]) -> int:
    """Give the port that is listened on, which is not the configured one where that is 0."""
    return int(listeners[0].getsockname()[1])


def announce(listeners: Sequence[socket.socket]) -> None:
    """Say in the log where the service listens."""
    for listener in listeners:
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _log.info("Uvicorn running on http://%s", address)


def close(listeners: Sequence[socket.socket]) -> None:
    """Close this process's share of them."""
    for listener in listeners:
        listener.close()


def multiply(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Give listeners several handles each, the given ones among them.

    An event loop of uvloop accepts one connection in a turn from each. Under load a turn takes as long as all who are
    connected keep it, so that the last of a hundred who connect together would wait for a hundred turns.

    None of them blocks. Workers share what the kernel knows of a listener: `dup` of a socket that Python takes for a
    blocking one would make it so for all workers, and whichever of them is woken for a connection that another one has
    accepted already would stand still until the next one comes.
    """
    for listener in listeners:
        listener.setblocking(False)
    return [*listeners, *(listener.dup() for listener in listeners for _ in range(_ACCEPTED_AT_ONCE - 1))]


def turn_away(listeners: Sequence[socket.socket]) -> None:
    """Have the kernel ignore whoever begins to connect from now on; connections already begun still come.

    Closing a listener resets the connections that the kernel has completed but that nobody accepted yet, and their
    clients have sent their requests. So it is closed only a moment after this. A client that is ignored asks again
    after a second, and is then refused, as it would have been anyway. Linux only; elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _IGNORE_SYN))
    filtering = struct.pack("HP", len(_IGNORE_SYN), ctypes.addressof(program))
    for listener in listeners:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtering)


_SO_ATTACH_FILTER: Final = 26
_IGNORE_SYN: Final = (
    # see the kernel's Documentation/networking/filter.rst: code, jump if true, jump if false, operand
    (0x30, 0, 0, 13),  # load the byte of the TCP header that has its flags
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # yes: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # no: keep all of it
)
"""A packet filter in BPF."""
