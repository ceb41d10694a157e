"""From an error to its answer: one table of statuses, one body."""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from churn_mlops.api.responses import SECURITY_HEADERS
from churn_mlops.errors import (
    BatchRefused,
    BodyTooLarge,
    ChurnMlopsError,
    DeadlineExceeded,
    EventsRefused,
    FeatureSchemaMismatch,
    HeadersTooLarge,
    InvalidParameter,
    MalformedRequest,
    NoModel,
    NotAtRisk,
    NotTrainedOnEvents,
    Overloaded,
    RegistryError,
    ShuttingDown,
    SlowClient,
    Stopped,
    Unauthorized,
    UnknownModel,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import FastAPI, Request

    from churn_mlops.errors import BadRow

_STATUS: Final[dict[type[ChurnMlopsError], HTTPStatus]] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    SlowClient: HTTPStatus.REQUEST_TIMEOUT,
    HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BatchRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    FeatureSchemaMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    EventsRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotAtRisk: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotTrainedOnEvents: HTTPStatus.CONFLICT,
    InvalidParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownModel: HTTPStatus.NOT_FOUND,
    NoModel: HTTPStatus.SERVICE_UNAVAILABLE,
    RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
    ShuttingDown: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.SERVICE_UNAVAILABLE,
    Stopped: HTTPStatus.SERVICE_UNAVAILABLE,
}

HEADERS: Final[dict[HTTPStatus, dict[str, str]]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="churn-mlops"'},
}
"""What an answer of a status has beside its body."""

_log = logging.getLogger("churn_mlops.api")

_FRAMES: Final = 10
"""How many calls, the innermost ones, the log shows of a failure."""


def handle_errors(app: FastAPI) -> None:
    """Give every refusal of the application, and of the framework, the one body."""
    app.add_exception_handler(ChurnMlopsError, _answer_own)
    app.add_exception_handler(HTTPException, _answer_http)


def error_response(
    status: int, error: str, detail: str, fields: Sequence[str] = (), rows: Sequence[BadRow] = ()
) -> Response:
    """Write the one error body."""
    answer: dict[str, Any] = {"error": error, "detail": detail, "fields": fields}
    if rows:
        answer["rows"] = rows
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def answer_failure(error: Exception, request_id: str) -> Response:
    """Log what the service itself did wrong, and write its answer."""
    log_failure(error, request_id)
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "The service failed; its log has the details."
    )


def log_failure(error: Exception, request_id: str) -> None:
    """Log where the service itself went wrong, but not what the error says: its text may quote the customer."""
    calls = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    about = {
        "request_id": request_id,
        "error": type(error).__name__,
        "stack": [f"{call.filename}:{call.lineno} {call.name}" for call in calls],
    }
    _log.error("unexpected error", extra=about)


def find_status(error: ChurnMlopsError) -> HTTPStatus:
    """Find the status of the answer to an error of our own.

    Raises:
        ChurnMlopsError: this one, if it is not the client's doing.
    """
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        raise error
    return status


def answer_error(error: ChurnMlopsError) -> Response:
    """Write the answer to an error of our own.

    Raises:
        ChurnMlopsError: this one, if it is not the client's doing.
    """
    status = find_status(error)
    fields, rows = getattr(error, "fields", ()), getattr(error, "rows", ())
    response = error_response(status, type(error).__name__, str(error), fields, rows)
    response.headers.update(HEADERS.get(status, {}))
    return response


def write_answer(error: ChurnMlopsError, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the answer to an error of our own as it goes over the wire, for where there is no request to answer."""
    response = answer_error(error)
    status = HTTPStatus(response.status_code)
    lines = (b"%s: %s" % header for header in (*headers, *response.raw_headers, *SECURITY_HEADERS))
    return b"\r\n".join((b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), *lines, b"", bytes(response.body)))


async def _answer_own(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChurnMlopsError)  # noqa: S101 - registered for this class only
    return answer_error(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    phrase = HTTPStatus(error.status_code).phrase
    detail = f"{phrase}: {request.method} {request.url.path}."
    response = error_response(error.status_code, phrase.replace(" ", ""), detail)
    response.headers.update(error.headers or {})
    return response
