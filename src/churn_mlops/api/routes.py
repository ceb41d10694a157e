"""The routes: what each takes and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import WithJsonSchema
from starlette.requests import ClientDisconnect

from churn_mlops.api.responses import AppliedDecision, Health, Prediction, Ready, describe_errors
from churn_mlops.errors import ChurnMlopsError, FeatureSchemaMismatch, MalformedRequest, NoModel
from churn_mlops.inference.encoding import encode_customer
from churn_mlops.inference.reasons import explain
from churn_mlops.registry.manifest import Decision, Manifest

if TYPE_CHECKING:
    from churn_mlops.api.request_schema import Customer
    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.config.settings import ServingSettings

router = APIRouter()

_REASONS: Any = Query(
    ge=0, description="How many reasons, strongest first; 0 for all. Without it, as many as serving.reasons says."
)

_PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}}},
    }
}


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
    responses=describe_errors(s503="No model is loaded."),
)
async def ready(request: Request) -> Ready:
    """Answer 200 once a model is loaded, 503 until then with the reason."""
    return Ready(model_version=_served(request).version)


@router.get(
    "/model",
    tags=["scoring"],
    summary="What is served?",
    response_model=Manifest,
    response_description="The manifest of the version being served.",
    responses=describe_errors(s503="No model is loaded."),
)
async def model(request: Request) -> Response:
    """Answer the manifest of the version being served: signature, metrics with intervals, decision, data, hashes."""
    return Response(_served(request).scorer.manifest.model_dump_json(), media_type="application/json")


@router.post(
    "/predict",
    tags=["scoring"],
    summary="How likely is this customer to leave, and why?",
    response_model=Prediction,
    response_description="The customer's score.",
    responses=describe_errors(
        s400="The body is no JSON.",
        s422="A field is unknown, of the wrong type or not finite, or too many are missing.",
        s503="No model is loaded.",
    ),
    openapi_extra=_PREDICT_BODY,
)
async def predict(
    request: Request,
    reasons: Annotated[int | None, _REASONS, WithJsonSchema({"type": "integer", "minimum": 0})] = None,
) -> Response:
    """Score one customer.

    A feature that is null or absent is used as missing and listed under `input_quality`, as are categories never
    seen and numbers outside the range seen in training (which count as the nearest end of it).
    """
    served = _served(request)
    settings: ServingSettings = request.app.state.settings.serving
    customer = served.schema.read(await _read_body(request))
    count = settings.reasons if reasons is None else reasons
    answer = _score(served, customer, settings.max_missing_share, count)
    return Response(answer.model_dump_json(), media_type="application/json")


async def _read_body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise MalformedRequest("The body was cut short.") from error


def _served(request: Request) -> ServedModel:
    served: ServedModel | None = request.app.state.served
    if served is None:
        problem: ChurnMlopsError | None = request.app.state.problem
        raise problem or NoModel("No model is loaded yet.")
    return served


def _score(served: ServedModel, customer: Customer, max_missing_share: float, count: int) -> Prediction:
    manifest = served.scorer.manifest
    row, quality = encode_customer(manifest.signature, customer.values)
    share = len(quality.missing) / len(customer.values)
    if share > max_missing_share:
        raise FeatureSchemaMismatch(
            f"{len(quality.missing)} of {len(customer.values)} features are missing ({share:.0%}); at most "
            f"{max_missing_share:.0%} may be: {', '.join(quality.missing)}.",
            quality.missing,
        )
    scores = served.scorer.score(row)
    probability = float(scores.probability[0])
    value = _customer_value(manifest, customer)
    return Prediction(
        customer_id=customer.customer_id,
        churn_probability=probability,
        churn_predicted=manifest.decision.predicts_churn(probability, value),
        decision=_apply(manifest.decision, probability, value),
        risk_band=manifest.decision.band(probability),
        reasons_are=manifest.explanation.kind,
        reasons=explain(manifest.signature, customer.values, scores.contributions[0], count),
        input_quality=quality,
        model_version=served.version,
    )


def _customer_value(manifest: Manifest, customer: Customer) -> float | None:
    """Give what the customer is worth: as the client says, else as the feature says, else the mean in training."""
    parameters = manifest.decision.parameters
    if parameters is None or customer.customer_value is not None:
        return customer.customer_value
    of_feature = dict(zip(manifest.signature.names, customer.values, strict=True)).get(parameters.value_column or "")
    return float(of_feature) if isinstance(of_feature, int | float) else parameters.customer_value


def _apply(decision: Decision, probability: float, value: float | None) -> AppliedDecision:
    threshold = decision.threshold_for(value)
    return AppliedDecision(
        mode=decision.mode,
        threshold=threshold if threshold <= 1 else None,
        expected_profit=decision.expected_profit(probability, value),
        customer_value=value,
    )
