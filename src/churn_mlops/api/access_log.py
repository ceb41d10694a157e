"""JSON logs, a line per request: what was asked and how it went, never a feature value or a customer id."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pythonjsonlogger.core import RESERVED_ATTRS

from churn_mlops.api.errors import answer_error, answer_failure
from churn_mlops.api.protocol import GIVEN_UP
from churn_mlops.api.responses import SECURITY_HEADERS
from churn_mlops.api.tracing import TRACE_ID
from churn_mlops.errors import Stopped

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from churn_mlops.api.metrics import Metrics

_LOG: Final = logging.getLogger("churn_mlops")

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What a client may choose as its request id; anything else is replaced, so that nothing is smuggled into the log."""

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
        }
    },
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "loggers": {
        "churn_mlops": {"handlers": ["stdout"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stdout"], "level": "INFO", "propagate": False},
        # the thread that sends traces
        "opentelemetry": {"handlers": ["stdout"], "level": "WARNING", "propagate": False},
        # one line per request is ours: uvicorn's would hold the raw path
        "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}


class AccessLog:
    """Gives every request an id, in the log and in `X-Request-ID`, and logs it when it is answered.

    It is the edge of a request: whatever failed inside is logged and answered here, so that such an answer has its id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer it if it fails, and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = _request_id(scope)
        metrics: Metrics = scope["app"].state.metrics
        metrics.begin()
        start = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS, (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:  # by the server, which wants an answer all the same
            if status:
                raise
            await answer_error(scope.get(GIVEN_UP) or Stopped())(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the edge of a request
            answer = answer_failure(error, request_id.decode())
            if status == 0:
                await answer(scope, receive, send_with_id)
        finally:
            # nothing was answered where the server gave the request up: it then answers 500 itself
            status = status or 500
            latency_seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", None)
            metrics.answered(route, scope["method"], status, latency_seconds)
            _log_request(scope, route, request_id, status, latency_seconds)


def _log_request(scope: Scope, route: str | None, request_id: bytes, status: int, latency_seconds: float) -> None:
    served = scope.get("served") or scope["app"].state.served  # the one that answered, if another took its place
    line = begin_line("access", "request", request_id) | {
        "method": scope["method"],
        "route": route,
        "status": status,
        "latency_ms": round(latency_seconds * 1000, 3),
        "model_version": served.version if served else None,
    }
    if trace_id := scope.get(TRACE_ID):
        line["trace_id"] = trace_id
    write_log(msgspec.json.encode(line).decode() + "\n")


def begin_line(logger: str, message: str, request_id: bytes) -> dict[str, Any]:
    """Give the fields with which each line about a request begins."""
    return {
        "time": _now(int(time.time())),
        "level": "INFO",
        "logger": f"churn_mlops.{logger}",
        "message": message,
        "request_id": request_id.decode(),
    }


def write_log(text: str) -> None:
    """Write whole lines to the log."""
    # straight to where it goes: a LogRecord and its formatter take longer than scoring a customer
    for handler in _LOG.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream.write(text)
            handler.stream.flush()


@lru_cache(maxsize=1)
def _now(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value  # type: ignore[no-any-return]  # a scope may hold anything
    return b"%032x" % getrandbits(128)  # it has to be unlike others, not unforeseeable
