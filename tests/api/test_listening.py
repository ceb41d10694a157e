"""How connections are taken from the kernel."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest
import uvloop

from churn_mlops.api.listening import close, listen, multiply, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TOGETHER = 64


@pytest.fixture
def handles() -> Iterator[list[socket.socket]]:
    """Handles of one listener."""
    opened = multiply(listen("127.0.0.1", 0))
    yield opened
    close(opened)


def test_those_who_connect_together_are_accepted_in_a_few_turns(handles: list[socket.socket]) -> None:
    """Not one in a turn, as an event loop does with one handle: a turn is long where there is much to do."""
    turns = uvloop.run(_count_turns(handles))
    assert turns <= TOGETHER // 8


def test_a_worker_that_begins_leaves_those_who_serve_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their listeners never block, not even for a moment: one of them would stand still in it."""
    shared = listen("127.0.0.1", 0)
    serving = multiply(shared)
    set_timeout = socket.socket.settimeout

    def watch(self: socket.socket, seconds: float | None) -> None:
        set_timeout(self, seconds)
        assert not any(os.get_blocking(handle.fileno()) for handle in serving)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "settimeout", watch)
        begun = multiply([socket.socket(fileno=os.dup(listener.fileno())) for listener in shared])
    assert begun
    close([*serving, *begun])


async def _count_turns(handles: list[socket.socket]) -> int:
    """Connect while the loop does not look, and count the turns it then takes to accept them all."""
    loop, accepted = asyncio.get_running_loop(), 0

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal accepted
            accepted += 1

    servers = [await loop.create_server(Accepted, sock=handle) for handle in handles]
    clients = [socket.create_connection(("127.0.0.1", port_of(handles))) for _ in range(TOGETHER)]
    turns = 0
    while accepted < TOGETHER:
        turns += 1
        await asyncio.sleep(0)
    for client in clients:
        client.close()
    for server in servers:
        server.close()
    return turns
