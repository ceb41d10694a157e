"""Scores many customers in one request: JSON or CSV in, JSON or CSV out."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from typing_extensions import TypedDict

from churn_mlops.api.batch_csv import read_csv, write_csv
from churn_mlops.api.batch_intake import Intake, Part
from churn_mlops.api.batch_json import read_json, write_json
from churn_mlops.api.body import read_body
from churn_mlops.api.responses import describe_errors
from churn_mlops.api.routes import VERSION_HEADER, count_reasons, describe_body, find_served
from churn_mlops.inference.prediction import Prediction  # noqa: TC001 - pydantic reads the shape of an answer
from churn_mlops.inference.scorer import Scores

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.api.turns import Turns
    from churn_mlops.inference.records import PredictionRecord

router = APIRouter()

_CSV, _JSON = "text/csv", "application/json"
_NICER: Final = 5
_FEW: Final = 16
"""Rows that are scored about as soon as a thread would have begun; with a slow model, not much later."""


class BatchAnswer(TypedDict):
    """The scores of a batch.

    Attributes:
        predictions: in the order of the customers.
    """

    predictions: list[Prediction]


_TABLE: Final[dict[str, Any]] = {
    _CSV: {
        "schema": {
            "type": "string",
            "description": "A header line with the names of features, in any order, and of customer_id and "
            "customer_value if wanted; then a line for each customer. UTF-8. An empty field is missing.",
        }
    }
}


@router.post(
    "/predict/batch",
    tags=["scoring"],
    summary="How likely are these customers to leave, and why?",
    response_model=BatchAnswer,
    response_description="The customers' scores, in their order; as CSV if that is what is accepted.",
    responses={
        200: {"content": {_CSV: {"schema": {"type": "string"}}}, "headers": VERSION_HEADER},
        **describe_errors(
            s400="The body is no JSON, or no CSV.",
            s413="The body is larger than serving.max_body_bytes.",
            s422="Some customers cannot be scored, and are listed; or there is none, or too many.",
            s503="No model is loaded.",
        ),
    },
    openapi_extra=describe_body("BatchRequest", _TABLE),
)
async def predict_batch(request: Request) -> Response:
    """Score many customers by one call of the model, or none if one of them cannot be scored: each bad one is listed.

    CSV is read if `Content-Type` is `text/csv`, and written if `Accept` prefers it to JSON. Of what comes from the
    client, a text that a spreadsheet would run as a formula is written with an apostrophe in front.
    """
    served = find_served(request)
    reasons = count_reasons(request)
    body = await read_body(request)
    turns: Turns = request.app.state.turns
    intake = Intake(served, request.app.state.settings.serving.max_batch_rows)
    await turns.take(_read(body, served, intake, request.headers.get("content-type", "")))
    parts = intake.close()
    scores = await score(served, parts)
    answers = answer(served, parts, scores, reasons)
    if not _prefers_csv(request.headers.getlist("accept")):
        return Parts(await turns.take(write_json(answers)), _JSON, served.headers)
    manifest = served.scorer.manifest
    features = len(manifest.signature.features)
    by_profit = manifest.decision.mode == "profit"
    lines = await turns.take(write_csv(answers, min(reasons or features, features), by_profit))
    return Parts(lines, f"{_CSV}; charset=utf-8; header=present", served.headers)


def _read(body: bytes, served: ServedModel, intake: Intake, content_type: str) -> Generator[None]:
    if content_type.partition(";")[0].strip().lower() == _CSV:
        return read_csv(body, served.scorer.manifest.signature, served.schema, served.batch_schema, intake)
    return read_json(body, served.batch_schema, intake)


def _lower_priority() -> None:
    """Let the event loop go first where there is one processor for both; on Linux, of this thread only."""
    if hasattr(os, "setpriority"):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)


_SCORING: Final = ThreadPoolExecutor(1, "batch-scoring", _lower_priority)


async def score(served: ServedModel, parts: Sequence[Part]) -> Scores:
    """Score the customers of some parts by one call of the graph, beside the event loop."""
    matrix = np.concatenate([part.matrix for part in parts])
    if len(matrix) <= _FEW:
        return served.predictor.score(matrix)
    return await asyncio.get_running_loop().run_in_executor(_SCORING, served.predictor.score, matrix)


def answer(
    served: ServedModel, parts: Sequence[Part], scores: Scores, reasons: int
) -> Iterator[list[PredictionRecord]]:
    """Answer for the customers of each part in turn."""
    start = 0
    for part in parts:
        these = slice(start, start + len(part.customers))
        some = Scores(scores.probability[these], scores.contributions[these])
        yield served.predictor.answer_columns(part.customers, part.qualities, some, reasons)
        start = these.stop


def _prefers_csv(accepted: Sequence[str]) -> bool:
    """Whether a client would rather have CSV than JSON (RFC 9110, section 12.5.1)."""
    weights: dict[str, float] = {}
    for media_range in ",".join(accepted).split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = 0.0

    def weight_of(media_type: str) -> float:
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((weights[name] for name in ranges if name in weights), 0.0)

    return weight_of(_CSV) > weight_of(_JSON)


class Parts(Response):
    """An answer that was written in parts, which are sent as they are: joining them would take its time."""

    def __init__(self, parts: Sequence[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        self._parts = parts
        size = sum(map(len, parts))
        super().__init__(headers={"content-type": media_type, "content-length": str(size), **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


DIRECT: Final = {("POST", route.path): route for route in router.routes if isinstance(route, APIRoute)}
"""The route, to be taken the short way."""
