"""The OpenAPI document: FastAPI's own for the routes, the model's signature for what /predict takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from churn_mlops.api.batch_csv import write_example
from churn_mlops.api.open_inference.inference import build_example, describe_request
from churn_mlops.api.protocol import NEVER_REFUSED

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi import FastAPI

    from churn_mlops.api.served_model import ServedModel

_ATTRIBUTES: Final = "\n\nAttributes:\n"

_WITHOUT_MODEL: dict[str, Any] = {
    "type": "object",
    "title": "PredictRequest",
    "description": "No model is loaded: which features there are is known once one is.",
    "properties": {"customer_id": {"type": "string"}, "features": {"type": "object"}},
    "required": ["features"],
}
_WITHOUT_EVENTS: dict[str, Any] = {
    "type": "object",
    "title": "PredictEventsRequest",
    "description": "No model that was trained on events is loaded: what an event holds is known once one is.",
    "properties": {"customer_id": {"type": "string"}, "events": {"type": "array", "items": {"type": "object"}}},
    "required": ["events"],
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


def build_openapi(app: FastAPI, served: ServedModel | None) -> dict[str, Any]:
    """Build the document for the model being served (None: for none)."""
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
    )
    request = served.schema.json_schema() if served else dict(_WITHOUT_MODEL)
    events_request = dict(_WITHOUT_EVENTS)
    if served and served.event_scoring:
        events_request = served.event_scoring.schema.json_schema()
        example = served.event_scoring.schema.example()
        _content(document, "/predict/events")["application/json"]["example"] = example
    infer_request = describe_request(served.tensors if served else None)
    schemas = document["components"]["schemas"]
    for known in schemas.values():
        _lift_attributes(known)
    _drop_unused_answers(document)
    _document_limits(document)
    requests = {"PredictRequest": request, "PredictEventsRequest": events_request, "InferRequest": infer_request}
    for name, known in requests.items():
        schemas.update(known.pop("$defs", {}))
        schemas[name] = known
    schemas["BatchRequest"] = _BATCH
    if served:
        example = served.schema.example()
        _content(document, "/predict")["application/json"]["example"] = example
        batch = _content(document, "/predict/batch")
        batch["application/json"]["example"] = {"customers": [example]}
        batch["text/csv"]["example"] = write_example(example)
        for path in (path for path in document["paths"] if path.endswith("/infer")):
            _content(document, path)["application/json"]["example"] = build_example(example["features"])
        _name_model(document, app.state.settings.serving.model_name, served.version)
    return document


def _content(document: dict[str, Any], path: str) -> dict[str, Any]:
    content: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"]
    return content


def _name_model(document: dict[str, Any], name: str, version: str) -> None:
    """Say in the document what the model and its version are called, wherever the address names them."""
    known: dict[str, dict[str, Any]] = {"model_name": {"enum": [name]}, "model_version": {"examples": [version]}}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        for parameter in operation.get("parameters", ()):
            parameter["schema"].update(known.get(parameter["name"], {}))


def document_keys(document: dict[str, Any], open_paths: Collection[str]) -> None:
    """Add to the document that an API key is needed, in either of two headers, except on some paths."""
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        if path not in open_paths:
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"key": []}]
                operation["responses"]["401"] = _describe_refusal(path, "There is no API key, or it is not known.")


def _document_limits(document: dict[str, Any]) -> None:
    """Add what the connection itself answers: to a body that does not arrive in time, and to more than can be done."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            if method == "post":
                answers["408"] = _describe_refusal(path, "The body did not arrive in time.")
            if path.encode() not in NEVER_REFUSED:
                too_much = "There is too much to do, or it took too long; Retry-After says when to ask again."
                described = answers.setdefault("503", _describe_refusal(path, too_much))
                if described["description"] != too_much:
                    described["description"] += f" {too_much}"


def _describe_refusal(path: str, text: str) -> dict[str, Any]:
    body = "ProtocolError" if path.startswith("/v2") else "ErrorAnswer"
    schema = {"$ref": f"#/components/schemas/{body}"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


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
