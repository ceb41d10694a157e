"""Scores one customer by its events: the features are computed here, as training computed them."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from typing_extensions import TypedDict

from churn_mlops.api.body import read_body
from churn_mlops.api.responses import WrittenJson, describe_errors
from churn_mlops.api.routes import VERSION_HEADER, count_reasons, describe_body, find_served
from churn_mlops.errors import NotTrainedOnEvents
from churn_mlops.inference.prediction import Prediction

if TYPE_CHECKING:
    from churn_mlops.api.event_scoring import ComputedCustomer

router = APIRouter()

_SHORT_BYTES: Final = 2048
"""A body of some twenty events, which is computed about as soon as a thread would have begun."""


class UsedEvents(TypedDict):
    """What became of the events of a request.

    Attributes:
        received: how many there were.
        used: how many the features were computed from.
        dropped: how many were left out, by reason.
        other_types: types among those used that have no features of their own.
    """

    received: int
    used: int
    dropped: dict[str, int]
    other_types: list[str]


class PredictionFromEvents(Prediction):
    """A customer that was scored by its events.

    Attributes:
        snapshot_date: features look back from the midnight, in UTC, with which this day begins.
        events: what became of them.
    """

    snapshot_date: str
    events: UsedEvents


@router.post(
    "/predict/events",
    tags=["scoring"],
    summary="How likely is the customer of these events to leave, and why?",
    response_model=PredictionFromEvents,
    response_description="The customer's score, and what became of the events.",
    responses={
        200: {"headers": VERSION_HEADER},
        **describe_errors(
            s400="The body is no JSON.",
            s409="The version that is served was not trained on events.",
            s413="The body is larger than serving.max_body_bytes.",
            s422="A field is unknown, missing or of the wrong type, there are too many events or bytes for one "
            "customer, as_of is later than tomorrow, too many of the customer's attributes are not sent, or the "
            "customer is not at risk on that day.",
            s503="No model is loaded.",
        ),
    },
    openapi_extra=describe_body("PredictEventsRequest"),
)
async def predict_events(request: Request) -> Response:
    """Score one customer by its recent events, for a model that was trained on an event log.

    The features are those of training, of events known before midnight, in UTC, of the day `as_of` (today without it).
    Events that the log's own check would have rejected are left out and counted, as are those not known by then.
    """
    served = find_served(request)
    scoring = served.event_scoring
    if scoring is None:
        raise NotTrainedOnEvents(served.version)
    reasons = count_reasons(request)
    body = await read_body(request)
    if len(body) <= _SHORT_BYTES:
        computed = scoring.compute(body)
    else:
        run = contextvars.copy_context().run  # a thread does not know by itself which span it is inside of
        computed = await asyncio.get_running_loop().run_in_executor(_COMPUTING, run, scoring.compute, body)
    encoded = served.predictor.encode_computed(computed.customer["features"])
    if len(request.app.state.in_flight) > 1:
        scores = await served.together.score(encoded[0])
        answer = served.predictor.answer(computed.customer, encoded, scores, reasons)
    else:
        answer = served.predictor.predict(computed.customer, encoded, reasons)
    return WrittenJson(msgspec.json.encode({**answer, **_describe(computed)}), served.header)


def _describe(computed: ComputedCustomer) -> dict[str, Any]:
    taken = computed.taken
    used: UsedEvents = {
        "received": taken.received,
        "used": len(taken.rows),
        "dropped": taken.dropped,
        "other_types": taken.other_types,
    }
    return {"snapshot_date": computed.as_of.isoformat(), "events": used}


_COMPUTING: Final = ThreadPoolExecutor(2, "events")

DIRECT: Final = {("POST", route.path): route for route in router.routes if isinstance(route, APIRoute)}
"""The route, to be taken the short way."""
