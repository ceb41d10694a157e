"""The OpenAPI document: FastAPI's own for the routes, the model's signature for what /predict takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from churn_mlops.api.batch_csv import write_example
from churn_mlops.api.open_inference.inference import build_example, describe_request

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi import FastAPI

    from churn_mlops.api.request_schema import RequestSchema

_ATTRIBUTES: Final = "\n\nAttributes:\n"

_WITHOUT_MODEL: dict[str, Any] = {
    "type": "object",
    "title": "PredictRequest",
    "description": "No model is loaded: which features there are is known once one is.",
    "properties": {"customer_id": {"type": "string"}, "features": {"type": "object"}},
    "required": ["features"],
}
_BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "title": "BatchRequest",
    "description": "Customers to score together; at most as many as serving.max_batch_rows says.",
    "properties": {
        "customers": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/PredictRequest"}}
    },
    "required": ["customers"],
    "additionalProperties": False,
}


def build_openapi(app: FastAPI, schema: RequestSchema | None) -> dict[str, Any]:
    """Build the document for the model being served (None: for none)."""
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
    )
    request = schema.json_schema() if schema else dict(_WITHOUT_MODEL)
    schemas = document["components"]["schemas"]
    for known in schemas.values():
        _lift_attributes(known)
    _drop_unused_answers(document)
    for name, known in (("PredictRequest", request), ("InferRequest", describe_request())):
        schemas.update(known.pop("$defs", {}))
        schemas[name] = known
    schemas["BatchRequest"] = _BATCH
    if schema:
        example = schema.example()
        _content(document, "/predict")["application/json"]["example"] = example
        batch = _content(document, "/predict/batch")
        batch["application/json"]["example"] = {"customers": [example]}
        batch["text/csv"]["example"] = write_example(example)
        for path in (path for path in document["paths"] if path.endswith("/infer")):
            _content(document, path)["application/json"]["example"] = build_example(example["features"])
    return document


def _content(document: dict[str, Any], path: str) -> dict[str, Any]:
    content: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"]
    return content


def document_keys(document: dict[str, Any], open_paths: Collection[str]) -> None:
    """Add to the document that an API key is needed, in either of two headers, except on some paths."""
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    refusal = {
        "description": "There is no API key, or it is not known.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
    }
    for path, operations in document["paths"].items():
        if path not in open_paths:
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"key": []}]
                operation["responses"]["401"] = refusal


def _drop_unused_answers(document: dict[str, Any]) -> None:
    """Drop the answers that the framework documents wherever there is a parameter: here, it validates none."""
    unused = {"$ref": "#/components/schemas/HTTPValidationError"}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        answers = operation["responses"]
        if answers.get("422", {}).get("content", {}).get("application/json", {}).get("schema") == unused:
            del answers["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _lift_attributes(schema: dict[str, Any]) -> None:
    """Move what a docstring says of each attribute, a line for each, to the property of that name."""
    description, found, attributes = schema.get("description", "").partition(_ATTRIBUTES)
    if not found:
        return
    schema["description"] = description
    for name, text in re.findall(r"^ {4}(\w+): (.+)$", attributes, re.MULTILINE):
        schema["properties"][name]["description"] = text
