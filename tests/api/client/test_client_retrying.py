"""Asking again: only what may pass, not before it may, not too often and not for too long."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from scripted_server import ANSWER, FEATURES, Reply

from churn_mlops.client import Prediction, Refused, Retry, ServiceFailed, Unavailable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripted_server import ScriptedServer

    Ask = Callable[..., Any]
    Serve = Callable[..., ScriptedServer]

BUSY = Reply(503, {"error": "Overloaded", "detail": "Too much to do.", "fields": []})
EXPECTED = Prediction.model_validate(ANSWER)


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "passing",
    [
        BUSY,
        Reply(502, b"<html>Bad gateway</html>"),
        Reply(504, b""),
        Reply(cut=True),
    ],
)
def test_what_may_pass_is_asked_again(passing: Reply, ask: Ask, serve: Serve) -> None:
    """Too much to do, no model yet, a gateway without its service, an answer that breaks off."""
    server = serve(passing, passing, Reply())
    assert ask(server.url, "predict", FEATURES) == EXPECTED
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 429])
def test_what_the_caller_did_wrong_is_asked_once(status: int, ask: Ask, serve: Serve) -> None:
    """The answer's own words are in the exception."""
    server = serve(Reply(status, {"error": "Wrong", "detail": "Not so.", "fields": ["tenure"]}, {"X-Request-ID": "7"}))
    with pytest.raises(Refused, match=rf"^Not so\. \({status} Wrong\)$") as refused:
        ask(server.url, "predict", FEATURES)
    assert (refused.value.fields, refused.value.request_id) == (("tenure",), "7")
    assert len(server.requests) == 1


def test_what_the_service_did_wrong_is_asked_once(ask: Ask, serve: Serve) -> None:
    """A failure would be the same again, and is in the service's log."""
    server = serve(Reply(500, {"error": "InternalError", "detail": "The service failed.", "fields": []}))
    with pytest.raises(ServiceFailed, match="The service failed"):
        ask(server.url, "predict", FEATURES)
    assert len(server.requests) == 1


def test_attempts_are_counted(ask: Ask, serve: Serve) -> None:
    """As many as said, then what the service said last."""
    server = serve(BUSY)
    with pytest.raises(Unavailable, match="Too much to do"):
        ask(server.url, "predict", FEATURES)
    assert len(server.requests) == 4


@pytest.mark.parametrize("method", ["ready", "health"])
def test_probes_ask_once(method: str, ask: Ask, serve: Serve) -> None:
    """Whoever asks whether it is ready wants to know how it is now."""
    server = serve(BUSY)
    with pytest.raises(Unavailable):
        ask(server.url, method)
    assert len(server.requests) == 1


def test_retry_after_is_waited_for(ask: Ask, serve: Serve) -> None:
    """However short the pause would have been."""
    server = serve(Reply(503, BUSY.content, {"Retry-After": "1"}), Reply())
    ask(server.url, "predict", FEATURES)
    first, second = server.requests
    assert second.at_seconds - first.at_seconds >= 1


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_the_deadline_is_not_waited_for(as_date: bool, ask: Ask, serve: Serve) -> None:
    """Where the service will not be back in time, that is known at once; it may say so as a date."""
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if as_date else "3600"
    server = serve(Reply(503, BUSY.content, {"Retry-After": when}))
    with pytest.raises(Unavailable) as unavailable:
        ask(server.url, "predict", FEATURES)
    assert unavailable.value.retry_after_seconds == pytest.approx(3600, abs=60)
    assert len(server.requests) == 1


@pytest.mark.parametrize("nonsense", ["soon", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "1 Jan 2099", ""])
def test_a_retry_after_that_says_nothing_is_ignored(nonsense: str, ask: Ask, serve: Serve) -> None:
    """What cannot be read, or is over, asks for no pause."""
    server = serve(Reply(503, BUSY.content, {"Retry-After": nonsense}), Reply())
    assert ask(server.url, "predict", FEATURES) == EXPECTED


def test_a_service_that_starts_late_is_found(ask: Ask, serve: Serve, free_port: int) -> None:
    """Connections are refused at first, and made again until one is taken."""
    starting = threading.Timer(0.3, lambda: serve(Reply(), port=free_port))
    starting.start()
    patient = Retry(attempts=1000, deadline_seconds=20, backoff_seconds=0.02, max_backoff_seconds=0.05)
    assert ask(f"http://127.0.0.1:{free_port}", "predict", FEATURES, options={"retry": patient}) == EXPECTED
    starting.join()


def test_a_service_that_is_not_there_is_named(ask: Ask, free_port: int) -> None:
    """The address is in the sentence, and httpx's own error is the cause."""
    with pytest.raises(Unreachable, match=rf"http://127\.0\.0\.1:{free_port}/predict gave no answer") as unreachable:
        ask(f"http://127.0.0.1:{free_port}", "predict", FEATURES)
    assert isinstance(unreachable.value.__cause__, httpx.ConnectError)


def test_an_address_that_cannot_be_used_is_not_tried_again(ask: Ask) -> None:
    """No patience makes it a better one."""
    patient = Retry(attempts=1000, deadline_seconds=3600, backoff_seconds=3600, max_backoff_seconds=3600)
    with pytest.raises(Unreachable, match="UnsupportedProtocol"):
        ask("ftp://127.0.0.1", "predict", FEATURES, options={"retry": patient})


@pytest.mark.parametrize("timeout_seconds", [0.2, 10])
def test_the_deadline_ends_it(timeout_seconds: float, ask: Ask, serve: Serve) -> None:
    """A service that does not answer is waited for no longer than that, whatever the time-out."""
    server = serve(Reply(hang_seconds=3))
    hasty = Retry(attempts=1000, deadline_seconds=0.5, backoff_seconds=0.01)
    start = time.monotonic()
    with pytest.raises(Unreachable, match="timed out"):
        ask(server.url, "predict", FEATURES, options={"retry": hasty, "timeout_seconds": timeout_seconds})
    assert time.monotonic() - start < 2.5  # had it waited for the answer, 3 s
    assert len(server.requests) in ((2, 3) if timeout_seconds < 0.5 else (1,))


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    """Each longest pause is twice the one before, up to the limit, and what is waited lies anywhere below."""
    retry = Retry(backoff_seconds=0.5, max_backoff_seconds=3)
    drawn = {failed: [retry.pause_seconds(failed) for _ in range(2000)] for failed in (1, 2, 3, 4, 2000)}
    assert {failed: pytest.approx(max(pauses), rel=0.05) for failed, pauses in drawn.items()} == {
        1: 0.5,
        2: 1,
        3: 2,
        4: 3,
        2000: 3,
    }
    assert all(min(pauses) < 0.1 for pauses in drawn.values())
    assert min(retry.pause_seconds(1, 7) for _ in range(100)) >= 7
