"""Both clients, and servers that answer as a test tells them to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import pytest
from scripted_server import Reply, ScriptedServer

from churn_mlops.client import AsyncChurnClient, ChurnClient, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[..., Any]

QUICK: Final = Retry(attempts=4, deadline_seconds=20, backoff_seconds=0.01)


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start scripted servers, until the test ends."""
    started: list[ScriptedServer] = []

    def start(*script: Reply | Callable[[bytes], Reply], port: int = 0) -> ScriptedServer:
        started.append(ScriptedServer(list(script), port))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call a method of one client, then of the other: `ask(url, "predict", …)`; of a batch, all answers."""

    def ask_sync(url: str, method: str, *arguments: object, options: dict[str, Any] | None = None) -> Any:
        with ChurnClient(url, **{"retry": QUICK, **(options or {})}) as client:
            answer = getattr(client, method)(*arguments)
            return list(answer) if method == "predict_batch" else answer

    async def ask_async(url: str, method: str, *arguments: object, options: dict[str, Any] | None = None) -> Any:
        async with AsyncChurnClient(url, **{"retry": QUICK, **(options or {})}) as client:
            answer = getattr(client, method)(*arguments)
            return [one async for one in answer] if isinstance(answer, AsyncIterator) else await answer

    if request.param == "sync":
        return ask_sync
    return lambda *arguments, **named: asyncio.run(ask_async(*arguments, **named))
