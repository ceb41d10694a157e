"""Reads a request's body, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.errors import BodyTooLarge, MalformedRequest

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request) -> bytes:
    """Read the whole body.

    Raises:
        BodyTooLarge: it has more than `serving.max_body_bytes`, or says so before it is read.
        MalformedRequest: it was cut short.
    """
    limit: int = request.app.state.settings.serving.max_body_bytes
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
            raise BodyTooLarge(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequest("The body was cut short.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
