"""How connections are taken from the kernel."""

from __future__ import annotations

import asyncio
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
