"""Every answer has a request id, and no request can smuggle anything into the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Ask = Callable[..., httpx.Response]

MADE_HERE = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize("given", ["a", "abc-1", "A.b_C-9", "0" * 64, "018f-4d2e.trace_1"])
def test_a_request_id_is_echoed(ask: Ask, given: str) -> None:
    """A plain id that the client chose is kept."""
    assert ask("GET", "/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    [b"", b"x" * 65, b"a b", b'a"b', b"a\tb", b"a{b}", b"\xff\xfe", "ü".encode(), b"a\\nb", b"a;b", b"a/b", b"<b>"],
)
def test_a_request_id_that_is_not_plain_is_replaced(ask: Ask, given: bytes) -> None:
    """Blanks, quotes, control characters and long texts never reach the log or the answer."""
    assert MADE_HERE.fullmatch(ask("GET", "/health", headers={b"X-Request-ID": given}).headers["X-Request-ID"])


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/health", {}, 200),
        ("GET", "/docs", {}, 200),
        ("GET", "/nope", {}, 404),
        ("GET", "/predict", {}, 405),
        ("POST", "/predict", {"content": b"{"}, 400),
        ("POST", "/predict", {"json": {}}, 422),
        ("POST", "/predict?reasons=x", {"json": {}}, 422),
    ],
)
def test_every_answer_has_exactly_one_request_id(
    ask: Ask, method: str, path: str, content: dict[str, Any], status: int
) -> None:
    """Answered or refused, by the service or by the framework: there is one id."""
    answer = ask(method, path, **content)
    assert (answer.status_code, len(answer.headers.get_list("X-Request-ID"))) == (status, 1)


def test_request_ids_differ(ask: Ask) -> None:
    """Two requests without an id get two."""
    assert ask("GET", "/health").headers["X-Request-ID"] != ask("GET", "/health").headers["X-Request-ID"]
