"""The client that waits for its answers."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Self

import httpx

from churn_mlops.client.exchange import Pause, Service
from churn_mlops.client.retrying import DEFAULT_RETRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from churn_mlops.client.answers import Health, Model, Prediction, PredictionFromEvents, Ready
    from churn_mlops.client.exchange import Customer, CustomerEvents, Exchange, Outcome, Result, Step, Value
    from churn_mlops.client.retrying import Retry


class ChurnClient:
    """Asks a running service; close it after use, or use it in a `with` block.

    Threads may share it. Every method raises a `ClientError` where there is no answer.

    Args:
        base_url: where the service is, such as `http://127.0.0.1:8000`; a path of it is kept.
        api_key: for a service that asks for one.
        timeout_seconds: how long to wait for the connection, and for each next part of an answer.
        retry: how often to ask again, and until when, while the service is unavailable or cannot be reached.
        batch_rows: how many customers `predict_batch` sends in one request; fewer where the service takes fewer.
        http: to be used instead of a new one, for proxies or certificates of your own; it stays yours to close.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        batch_rows: int = 1000,
        http: httpx.Client | None = None,
    ) -> None:
        self._service = Service(base_url, api_key, timeout_seconds, retry, batch_rows)
        self._http = http or httpx.Client()
        self._is_ours = http is None

    def predict(
        self,
        features: Mapping[str, Value],
        customer_id: str | int | None = None,
        customer_value: float | None = None,
        reasons: int | None = None,
    ) -> Prediction:
        """Score one customer.

        Args:
            features: the values by feature; one that is None or absent is missing.
            customer_id: comes back with the answer.
            customer_value: what the customer is worth if kept, where the model decides by profit.
            reasons: how many; 0 for all, None for as many as the service is set to give.
        """
        return self._run(self._service.predict(features, customer_id, customer_value, reasons))

    def predict_events(self, customer: CustomerEvents, reasons: int | None = None) -> PredictionFromEvents:
        """Score one customer by its events, where the model was trained on an event log.

        Args:
            customer: `{"events": [{"type": …, "time": …}, …]}` and, perhaps, `as_of` and the rest.
            reasons: how many; 0 for all, None for as many as the service is set to give.

        Raises:
            Refused: an event cannot be read, the customer is not at risk on that day (its `error` is NotAtRisk), or the
                model was not trained on events.
        """
        return self._run(self._service.predict_events(customer, reasons))

    def predict_batch(self, customers: Iterable[Customer], reasons: int | None = None) -> Iterator[Prediction]:
        """Score any number of customers, taken and answered some at a time, in their order.

        Args:
            customers: `{"features": …}` each, with `customer_id` and `customer_value` as for one customer.
            reasons: how many of each, as for one customer.

        Raises:
            Refused: some customers cannot be scored: its `rows` are all those at fault among the ones that were sent
                together, of whom none is scored; those before them are.
        """
        batch = self._service.start_batch(reasons)
        source = iter(customers)
        while some := list(islice(source, batch.rows)):
            yield from self._run(batch.predict(some))

    def model(self) -> Model:
        """Tell what is served: features, metrics with intervals, and all else in its manifest."""
        return self._run(self._service.model())

    def ready(self) -> Ready:
        """Tell, after asking once, that the service can score; `Unavailable` says why it cannot."""
        return self._run(self._service.ready())

    def health(self) -> Health:
        """Tell, after asking once, that the service is alive, with or without a model."""
        return self._run(self._service.health())

    def close(self) -> None:
        """Close the connections."""
        if self._is_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, exchange: Exchange[Result]) -> Result:
        outcome: Outcome = None
        while True:
            try:
                step = exchange.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            outcome = self._do(step)

    def _do(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.request(**step.as_httpx())
        except httpx.TransportError as error:
            return error
