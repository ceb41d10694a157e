"""The routes of the Open Inference Protocol, version 2: what existing clients and gateways of model servers speak."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

import churn_mlops
from churn_mlops.api.body import read_body
from churn_mlops.api.errors import HEADERS, find_status
from churn_mlops.api.open_inference.inference import HEADER_LENGTH, infer
from churn_mlops.api.open_inference.messages import (
    InferResponse,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from churn_mlops.api.open_inference.tensors import inflate
from churn_mlops.api.responses import shorten
from churn_mlops.api.routes import VERSION_HEADER, find_served, ready
from churn_mlops.errors import ChurnMlopsError, UnknownModel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.config.settings import ServingSettings


class ProtocolRoute(APIRoute):
    """A route that refuses with the protocol's own error body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ChurnMlopsError as error:
                status = find_status(error)
                return JSONResponse(ProtocolError(error=str(error)).model_dump(), status, HEADERS.get(status))

        return answer


router = APIRouter(prefix="/v2", tags=["open inference"], route_class=ProtocolRoute)

_VERSION: Final = "/models/{model_name}/versions/{model_version}"


def _describe_errors(**statuses: str) -> dict[int | str, dict[str, Any]]:
    return {int(status[1:]): {"model": ProtocolError, "description": text} for status, text in statuses.items()}


_UNREADY: Final = _describe_errors(s503="No model is loaded.")
_UNKNOWN: Final = _describe_errors(s404="There is no such model or version.") | _UNREADY
_BINARY: Final = {
    "application/octet-stream": {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "JSON, and behind it tensors in binary form.",
        }
    }
}
_INFER: Final[dict[str, Any]] = {
    "response_model": InferResponse,
    "response_description": "The outputs, row by row; in binary form where that was asked for.",
    "responses": {200: {"headers": VERSION_HEADER, "content": _BINARY}}
    | _UNKNOWN
    | _describe_errors(
        s400="The body is no JSON, or not of the protocol.",
        s413="The body is larger than serving.max_body_bytes.",
        s422="A tensor is not the model's, a value is not what it should be, or too many features are missing.",
    ),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}}} | _BINARY,
        },
        "parameters": [
            {
                "name": HEADER_LENGTH,
                "in": "header",
                "description": "Where the JSON ends, in bytes, and tensors in binary form begin.",
                "schema": {"type": "integer", "minimum": 0},
            }
        ],
    },
}


@router.get("", name="v2_server", summary="What serves the models?", response_description="Name and extensions.")
async def server(request: Request) -> ServerMetadata:
    """Answer the name and version of the server, and the extensions of the protocol that it knows."""
    return ServerMetadata(version=churn_mlops.__version__)


@router.get("/health/live", name="v2_live", summary="Is the process alive?", response_description="It is.")
async def server_live(request: Request) -> ServerLive:
    """Answer 200 as long as the process runs, with or without a model."""
    return ServerLive()


@router.get(
    "/health/ready", name="v2_ready", summary="Can it score?", response_description="It can.", responses=_UNREADY
)
async def server_ready(request: Request) -> ServerReady:
    """Answer 200 as long as /ready does."""
    await ready(request)
    return ServerReady()


@router.get(
    "/models/{model_name}",
    name="v2_model",
    summary="What does the model take and give?",
    response_description="Its tensors.",
    responses=_UNKNOWN,
)
async def model(request: Request, model_name: str) -> ModelMetadata:
    """Answer names, datatypes and shapes of the model's tensors: an input for each feature, and the outputs."""
    served = _find_model(request, model_name)
    return served.tensors.describe(model_name, served.version)


@router.get(
    _VERSION,
    name="v2_version",
    summary="What does this version take and give?",
    response_description="Its tensors.",
    responses=_UNKNOWN,
)
async def version(request: Request, model_name: str, model_version: str) -> ModelMetadata:
    """Answer the same as without a version, if it is the one that is served."""
    served = _find_model(request, model_name, model_version)
    return served.tensors.describe(model_name, served.version)


@router.get(
    "/models/{model_name}/ready",
    name="v2_model_ready",
    summary="Can the model score?",
    response_description="It can.",
    responses=_UNKNOWN,
)
async def model_ready(request: Request, model_name: str) -> ModelReady:
    """Answer 200 as long as /ready does."""
    _find_model(request, model_name)
    await ready(request)
    return ModelReady(name=model_name)


@router.get(
    f"{_VERSION}/ready",
    name="v2_version_ready",
    summary="Can this version score?",
    response_description="It can.",
    responses=_UNKNOWN,
)
async def version_ready(request: Request, model_name: str, model_version: str) -> ModelReady:
    """Answer 200 as long as /ready does and this version is the one that is served."""
    _find_model(request, model_name, model_version)
    await ready(request)
    return ModelReady(name=model_name)


@router.post("/models/{model_name}/infer", name="v2_infer", summary="What does the model say of these rows?", **_INFER)
async def infer_model(request: Request, model_name: str) -> Response:
    """Score rows, given column by column: a tensor of shape [rows] or [rows, 1] for each feature.

    NaN, null and an empty text are used as missing, as are features without a tensor. The answers are those of
    /predict, row by row; `contributions` are in the order of the model's inputs. The parameter `reasons` says how many
    reasons each row gets (0: all). Tensors may be sent and asked for in binary form.
    """
    return await _infer(request, _find_model(request, model_name))


@router.post(
    f"{_VERSION}/infer", name="v2_version_infer", summary="What does this version say of these rows?", **_INFER
)
async def infer_version(request: Request, model_name: str, model_version: str) -> Response:
    """Answer the same as without a version, if it is the one that is served."""
    return await _infer(request, _find_model(request, model_name, model_version))


async def _infer(request: Request, served: ServedModel) -> Response:
    settings: ServingSettings = request.app.state.settings.serving
    body = await read_body(request)
    if encoding := request.headers.get("content-encoding"):
        body = await asyncio.to_thread(inflate, body, encoding, settings.max_body_bytes)
    return await infer(served, settings, request.app.state.turns, body, request.headers.get(HEADER_LENGTH))


def _find_model(request: Request, name: str, version: str | None = None) -> ServedModel:
    """Give the model that is being served, if it has this name and version.

    Raises:
        UnknownModel: it has not.
        ChurnMlopsError: why none is served.
    """
    known = request.app.state.settings.serving.model_name
    if name != known:
        raise UnknownModel(f"There is no model {shorten(name)}; the model is called {known!r} here.")
    served = find_served(request)
    if version not in (None, served.version):
        raise UnknownModel(f"Version {shorten(version)} is not served; {served.version!r} is.")
    return served
