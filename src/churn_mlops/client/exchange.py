"""What is asked and what the answers mean, without sending anything: both clients run these exchanges.

An exchange is a generator. It yields a step, is sent what came of it, and returns the answer; who runs it decides how a
request is sent and how a pause is spent.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict, TypeVar

import httpx
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

import churn_mlops
from churn_mlops.client.answers import Health, Model, Prediction, PredictionFromEvents, Predictions, Ready
from churn_mlops.client.errors import ClientError, Refused, UnexpectedAnswer, Unreachable, read_failure

if TYPE_CHECKING:
    from datetime import date

    from churn_mlops.client.retrying import Retry

Value = bool | float | str | None
"""A feature's value, of the feature's kind; None where it is missing."""


class Customer(TypedDict):
    """A customer to score.

    Attributes:
        features: the values by feature; one that is absent is missing.
        customer_id: comes back with the answer.
        customer_value: what the customer is worth if kept; only for a model that decides by profit.
    """

    features: Mapping[str, Value]
    customer_id: NotRequired[str | int | None]
    customer_value: NotRequired[float | None]


class CustomerEvents(TypedDict):
    """A customer to score by its events, for a model that was trained on an event log.

    Attributes:
        events: what happened, in any order: `time` and, as the log had them, `type`, `amount`, `known_time`, `event_id`
            and `attributes` each; times are datetimes or texts (ISO 8601).
        as_of: the day whose midnight, in UTC, features look back from; today without it.
        customer: attributes of the customer; None for one that nobody knows.
        cancellations: `time` and, perhaps, `known_time` of each.
        customer_id: comes back with the answer.
        customer_value: what the customer is worth if kept; only for a model that decides by profit.
    """

    events: Sequence[Mapping[str, Any]]
    as_of: NotRequired[date | str | None]
    customer: NotRequired[Mapping[str, Value] | None]
    cancellations: NotRequired[Sequence[Mapping[str, Any]] | None]
    customer_id: NotRequired[str | int | None]
    customer_value: NotRequired[float | None]


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send; what came of it is the response, or why there is none."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, int]
    content: bytes | None
    timeout_seconds: float

    def as_httpx(self) -> dict[str, Any]:
        """Give the arguments of a `request` of httpx's clients."""
        return {
            "method": self.method,
            "url": self.url,
            "headers": self.headers,
            "params": self.params,
            "content": self.content,
            "timeout": self.timeout_seconds,
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """A while to wait; nothing comes of it."""

    seconds: float


Step = Send | Pause
Outcome = httpx.Response | httpx.TransportError | None
Result = TypeVar("Result")
Answer = TypeVar("Answer", Health, Ready, Model, Prediction, PredictionFromEvents, Predictions)
Exchange = Generator[Step, Outcome, Result]

_ONCE: Final = 1


class Service:
    """The service, as its clients know it.

    Args:
        base_url: where it is, such as `http://127.0.0.1:8000`; a path of it is kept.
        api_key: sent as `Authorization: Bearer …`.
        timeout_seconds: how long to wait for the connection, and for each next part of the answer.
        retry: when to ask again.
        batch_rows: how many customers to send in one request.
    """

    def __init__(
        self, base_url: str, api_key: str | None, timeout_seconds: float, retry: Retry, batch_rows: int
    ) -> None:
        self._base_url = str(httpx.URL(base_url)).rstrip("/")
        self._headers = {"accept": "application/json", "user-agent": f"churn-mlops/{churn_mlops.__version__}"}
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._timeout_seconds = timeout_seconds
        self._retry = retry
        self._batch_rows = batch_rows

    def predict(
        self,
        features: Mapping[str, Value],
        customer_id: str | int | None,
        customer_value: float | None,
        reasons: int | None,
    ) -> Exchange[Prediction]:
        """Score one customer."""
        customer: Customer = {"features": features, "customer_id": customer_id}
        if customer_value is not None:  # which a model that does not decide by profit refuses
            customer["customer_value"] = customer_value
        return self._ask("POST", "/predict", Prediction, self._retry, customer, reasons)

    def predict_events(self, customer: CustomerEvents, reasons: int | None) -> Exchange[PredictionFromEvents]:
        """Score one customer by its events."""
        return self._ask("POST", "/predict/events", PredictionFromEvents, self._retry, customer, reasons)

    def start_batch(self, reasons: int | None) -> Batch:
        """Begin to score a stream of customers."""
        return Batch(self, self._batch_rows, reasons)

    def predict_some(self, customers: list[Customer], reasons: int | None) -> Exchange[Predictions]:
        """Score as many customers as one request takes."""
        return self._ask("POST", "/predict/batch", Predictions, self._retry, {"customers": customers}, reasons)

    def model(self) -> Exchange[Model]:
        """Ask what is served."""
        return self._ask("GET", "/model", Model, self._retry)

    def ready(self) -> Exchange[Ready]:
        """Ask, once, whether it can score."""
        return self._ask("GET", "/ready", Ready, replace(self._retry, attempts=_ONCE))

    def health(self) -> Exchange[Health]:
        """Ask, once, whether it is alive."""
        return self._ask("GET", "/health", Health, replace(self._retry, attempts=_ONCE))

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        retry: Retry,
        content: object = None,
        reasons: int | None = None,
    ) -> Exchange[Answer]:
        send = Send(
            method,
            self._base_url + path,
            self._headers if content is None else {**self._headers, "content-type": "application/json"},
            {} if reasons is None else {"reasons": reasons},
            None if content is None else _write(content),
            self._timeout_seconds,
        )
        response = yield from _send_until_answered(send, retry)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise UnexpectedAnswer(send.url, f"{where}: {first['msg']}") from error


class Batch:
    """A stream of customers, sent some at a time.

    Attributes:
        rows: how many to send next; fewer once the service has refused so many.
    """

    def __init__(self, service: Service, rows: int, reasons: int | None) -> None:
        self.rows = rows
        self._service = service
        self._reasons = reasons
        self._begun = 0

    def predict(self, customers: list[Customer]) -> Exchange[list[Prediction]]:
        """Score the next customers."""
        first, self._begun = self._begun, self._begun + len(customers)
        return self._predict(customers, first)

    def _predict(self, customers: list[Customer], first: int) -> Exchange[list[Prediction]]:
        try:
            answer = yield from self._service.predict_some(customers, self._reasons)
        except Refused as refused:
            if not refused.is_too_large or len(customers) == 1:
                raise refused.count_from(first) from None
            half = (len(customers) + 1) // 2
            self.rows = min(self.rows, half)
            head = yield from self._predict(customers[:half], first)
            return head + (yield from self._predict(customers[half:], first + half))
        if len(answer.predictions) != len(customers):
            problem = f"{len(answer.predictions)} predictions for {len(customers)} customers"
            raise UnexpectedAnswer("/predict/batch", problem)
        return answer.predictions


def _send_until_answered(send: Send, retry: Retry) -> Exchange[httpx.Response]:
    end = time.monotonic() + retry.deadline_seconds
    attempt = 0
    while True:
        attempt += 1
        left_seconds = max(end - time.monotonic(), 0.0)
        outcome = yield replace(send, timeout_seconds=min(send.timeout_seconds, left_seconds))
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return outcome
        failure = _judge(send.url, outcome)
        pause_seconds = retry.pause_seconds(attempt, failure.retry_after_seconds)
        is_last = attempt >= retry.attempts or time.monotonic() + pause_seconds >= end
        if is_last or not failure.passes:
            raise failure
        yield Pause(pause_seconds)


def _judge(url: str, outcome: Outcome) -> ClientError:
    if isinstance(outcome, httpx.Response):
        return read_failure(url, outcome)
    assert outcome is not None  # noqa: S101 - only a pause has no outcome
    failure = Unreachable(url, outcome)
    failure.__cause__ = outcome
    return failure


def _write(content: object) -> bytes:
    try:
        # the service refuses infinity and NaN by the name of their feature
        return to_json(content, inf_nan_mode="constants", fallback=_simplify)
    except PydanticSerializationError as error:
        raise TypeError(f"The request cannot be written: {error}.") from None


def _simplify(value: object) -> Any:
    """Give what JSON has for a value that it does not know.

    Raises:
        TypeError: there is nothing.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):  # a number or truth of numpy's
        return value.item()
    msg = f"{value!r} of type {type(value).__name__} cannot be sent; None stands for a missing value"
    raise TypeError(msg)
