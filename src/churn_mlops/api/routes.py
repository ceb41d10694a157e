"""The routes: what each takes and answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from churn_mlops.api.body import read_body
from churn_mlops.api.responses import Health, Ready, ServedManifest, WrittenJson, describe_errors, shorten
from churn_mlops.errors import InvalidParameter, NoModel, ShuttingDown
from churn_mlops.inference.prediction import Prediction

if TYPE_CHECKING:
    from churn_mlops.api.following import Refusal
    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.api.shadow import Shadow
    from churn_mlops.config.settings import ServingSettings

router = APIRouter()

_MOST_REASONS: Final = 999_999_999
REASONS: Final[dict[str, Any]] = {
    "name": "reasons",
    "in": "query",
    "description": "How many reasons, strongest first; 0 for all. Without it, as many as serving.reasons says.",
    "schema": {"type": "integer", "minimum": 0, "maximum": _MOST_REASONS},
}
VERSION_HEADER: Final[dict[str, Any]] = {
    "X-Model-Version": {"schema": {"type": "string"}, "description": "Which version answered."}
}


def describe_body(schema: str, others: dict[str, Any] | None = None) -> dict[str, Any]:
    """Document in OpenAPI what a route takes that answers with reasons.

    Args:
        schema: the name of a JSON body's.
        others: bodies that are no JSON, by media type.
    """
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content | (others or {})}, "parameters": [REASONS]}


@router.get("/health", tags=["operation"], summary="Is the process alive?", response_description="It is.")
async def health(request: Request) -> Health:
    """Answer 200 as long as the process runs, with or without a model."""
    served: ServedModel | None = request.app.state.served
    return Health(model_version=served.version if served else None)


@router.get(
    "/ready",
    tags=["operation"],
    summary="Can it score?",
    response_description="It can.",
    responses=describe_errors(s503="No model is loaded, or the service is shutting down."),
)
async def ready(request: Request) -> Ready:
    """Answer 200 once a model is loaded; 503 with the reason until then, and once the service was told to stop."""
    require_staying(request)
    return Ready(model_version=find_served(request).version)


@router.get(
    "/model",
    tags=["scoring"],
    summary="What is served?",
    response_model=ServedManifest,
    response_description="The manifest of the version being served, and what was refused in its place.",
    responses=describe_errors(s503="No model is loaded."),
)
async def model(request: Request) -> Response:
    """Answer the manifest of the version being served: signature, metrics with intervals, decision, data, hashes."""
    manifest = find_served(request).scorer.manifest
    refusal: Refusal | None = request.app.state.refusal
    answer = ServedManifest.model_construct(**dict(manifest), refused=refusal.as_answer() if refusal else None)
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/predict",
    tags=["scoring"],
    summary="How likely is this customer to leave, and why?",
    response_model=Prediction,
    response_description="The customer's score.",
    responses={
        200: {"headers": VERSION_HEADER},
        **describe_errors(
            s400="The body is no JSON.",
            s413="The body is larger than serving.max_body_bytes.",
            s422="A field is unknown, of the wrong type or not finite, or too many are missing.",
            s503="No model is loaded.",
        ),
    },
    openapi_extra=describe_body("PredictRequest"),
)
async def predict(request: Request) -> Response:
    """Score one customer.

    A feature that is null or absent is used as missing and listed under `input_quality`, as are categories never
    seen and numbers outside the range seen in training (which count as the nearest end of it).
    """
    served = find_served(request)
    reasons = count_reasons(request)
    customer = served.schema.read(await read_body(request))
    encoded = served.predictor.encode(customer["features"])
    if len(request.app.state.in_flight) > 1:
        answer = served.predictor.answer(customer, encoded, await served.together.score(encoded[0]), reasons)
    else:
        answer = served.predictor.predict(customer, encoded, reasons)
    shadow: Shadow | None = request.app.state.shadow
    if shadow is not None:
        shadow.offer(served, request.scope["request_id"], customer["features"], answer["churn_probability"])
    return WrittenJson(msgspec.json.encode(answer), served.header)


def count_reasons(request: Request) -> int:
    """Read how many reasons are wanted, from the address or else the configuration.

    Raises:
        InvalidParameter: the address does not say a number.
    """
    asked = request.query_params.get("reasons") if request.scope["query_string"] else None
    if asked is None:
        settings: ServingSettings = request.app.state.settings.serving
        return settings.reasons
    if not re.fullmatch("[0-9]{1,9}", asked):
        raise InvalidParameter("reasons", shorten(asked), f"a whole number from 0 to {_MOST_REASONS}")
    return int(asked)


def find_served(request: Request) -> ServedModel:
    """Give the model that is being served.

    Raises:
        ChurnMlopsError: why there is none.
    """
    served: ServedModel | None = request.app.state.served
    if served is None:
        refusal: Refusal | None = request.app.state.refusal
        raise refusal.error if refusal else NoModel("No model is loaded yet.")
    request.scope["served"] = served
    return served


def require_staying(request: Request) -> None:
    """Make sure that the service is to be sent more.

    Raises:
        ShuttingDown: it was told to stop.
    """
    if request.app.state.stopping:
        raise ShuttingDown


DIRECT: Final[dict[tuple[str, str], APIRoute]] = {
    ("POST", route.path): route
    for route in router.routes
    if isinstance(route, APIRoute) and route.endpoint in (predict,)
}
"""The routes that are taken the short way."""
