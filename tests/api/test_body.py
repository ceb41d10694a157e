"""A body is read to its end, in however many pieces it comes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from churn_mlops.api.body import read_body
from churn_mlops.config.settings import ServingSettings, Settings
from churn_mlops.errors import BodyTooLarge


def read(pieces: list[bytes]) -> bytes:
    """Read a body of at most four bytes, whose length nobody told."""
    settings = Settings(serving=ServingSettings(max_body_bytes=4))
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting = iter([*messages, {"type": "http.request"}])

    async def receive() -> Any:
        return next(waiting)

    return asyncio.run(read_body(Request({"type": "http", "app": app, "headers": []}, receive)))


@pytest.mark.parametrize("pieces", [[], [b"abcd"], [b"a", b"", b"bcd"], [b"a", b"b", b"c", b"d"]])
def test_all_pieces_are_the_body(pieces: list[bytes]) -> None:
    """Not the first of them."""
    assert read(pieces) == b"".join(pieces)


def test_all_pieces_count() -> None:
    """Against serving.max_body_bytes."""
    with pytest.raises(BodyTooLarge):
        read([b"abc", b"de"])
