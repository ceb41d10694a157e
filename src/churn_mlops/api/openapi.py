"""The OpenAPI document: FastAPI's own for the routes, the model's signature for what /predict takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

if TYPE_CHECKING:
    from fastapi import FastAPI

    from churn_mlops.api.request_schema import RequestSchema

_WITHOUT_MODEL: dict[str, Any] = {
    "type": "object",
    "title": "PredictRequest",
    "description": "No model is loaded: which features there are is known once one is.",
    "properties": {"customer_id": {"type": "string"}, "features": {"type": "object"}},
    "required": ["features"],
}


def build_openapi(app: FastAPI, schema: RequestSchema | None) -> dict[str, Any]:
    """Build the document for the model being served (None: for none)."""
    document: dict[str, Any] = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    request = schema.json_schema() if schema else dict(_WITHOUT_MODEL)
    schemas = document["components"]["schemas"]
    schemas.update(request.pop("$defs", {}))
    schemas["PredictRequest"] = request
    if schema:
        content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
        content["application/json"]["example"] = schema.example()
    return document
