"""From an error to its answer: one table of statuses, one body."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from churn_mlops.api.responses import ErrorAnswer
from churn_mlops.errors import ChurnMlopsError, FeatureSchemaMismatch, MalformedRequest, NoModel, RegistryError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_STATUS: Final[dict[type[ChurnMlopsError], HTTPStatus]] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    FeatureSchemaMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoModel: HTTPStatus.SERVICE_UNAVAILABLE,
    RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
}

_log = logging.getLogger("churn_mlops.api")


def handle_errors(app: FastAPI) -> None:
    """Give every error of the application, and of the framework, the one body."""
    app.add_exception_handler(ChurnMlopsError, _answer_own)
    app.add_exception_handler(RequestValidationError, _answer_parameters)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unexpected)


def error_response(status: int, error: str, detail: str, fields: tuple[str, ...] = ()) -> JSONResponse:
    """Write the one error body."""
    return JSONResponse(ErrorAnswer(error=error, detail=detail, fields=list(fields)).model_dump(), status)


async def _answer_own(request: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        return await _answer_unexpected(request, error)
    return error_response(status, type(error).__name__, str(error), getattr(error, "fields", ()))


async def _answer_parameters(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    problems = {str(problem["loc"][-1]): problem for problem in error.errors()}
    detail = "; ".join(f"{name!r} is {problem['input']!r}: {problem['msg']}" for name, problem in problems.items())
    return error_response(HTTPStatus.UNPROCESSABLE_ENTITY, "InvalidParameter", f"{detail}.", tuple(problems))


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    phrase = HTTPStatus(error.status_code).phrase
    detail = f"{phrase}: {request.method} {request.url.path}."
    response = error_response(error.status_code, phrase.replace(" ", ""), detail)
    response.headers.update(error.headers or {})
    return response


async def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected error", exc_info=error)
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "The service failed; its log has the details."
    )
