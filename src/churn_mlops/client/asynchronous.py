"""The client for programs on asyncio, which sends several parts of a batch at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Self

import httpx

from churn_mlops.client.exchange import Pause, Service
from churn_mlops.client.retrying import DEFAULT_RETRY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from churn_mlops.client.answers import Health, Model, Prediction, PredictionFromEvents, Ready
    from churn_mlops.client.exchange import Batch, Customer, CustomerEvents, Exchange, Outcome, Result, Step, Value
    from churn_mlops.client.retrying import Retry


class AsyncChurnClient:
    """Asks a running service as `ChurnClient` does; close it after use, or use it in an `async with` block.

    Args:
        base_url: as for `ChurnClient`, like all that is not named here.
        in_flight: how many requests `predict_batch` has on the way at once; so many parts of it are held in memory.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        batch_rows: int = 1000,
        in_flight: int = 4,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._service = Service(base_url, api_key, timeout_seconds, retry, batch_rows)
        self._in_flight = in_flight
        self._http = http or httpx.AsyncClient()
        self._is_ours = http is None

    async def predict(
        self,
        features: Mapping[str, Value],
        customer_id: str | int | None = None,
        customer_value: float | None = None,
        reasons: int | None = None,
    ) -> Prediction:
        """Score one customer (see `ChurnClient.predict`)."""
        return await self._run(self._service.predict(features, customer_id, customer_value, reasons))

    async def predict_events(self, customer: CustomerEvents, reasons: int | None = None) -> PredictionFromEvents:
        """Score one customer by its events (see `ChurnClient.predict_events`)."""
        return await self._run(self._service.predict_events(customer, reasons))

    async def predict_batch(
        self, customers: Iterable[Customer] | AsyncIterable[Customer], reasons: int | None = None
    ) -> AsyncGenerator[Prediction]:
        """Score any number of customers, also from an asynchronous source, in their order.

        See `ChurnClient.predict_batch`. Whoever stops reading early closes it (`contextlib.aclosing`): what is on the
        way is then given up.
        """
        batch = self._service.start_batch(reasons)
        waiting: deque[asyncio.Task[list[Prediction]]] = deque()
        try:
            async for some in _take_some(customers, batch):
                waiting.append(asyncio.create_task(self._run(batch.predict(some))))
                if len(waiting) >= self._in_flight:
                    for prediction in await waiting.popleft():
                        yield prediction
            while waiting:
                for prediction in await waiting.popleft():
                    yield prediction
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def model(self) -> Model:
        """Tell what is served: features, metrics with intervals, and all else in its manifest."""
        return await self._run(self._service.model())

    async def ready(self) -> Ready:
        """Tell, after asking once, that the service can score; `Unavailable` says why it cannot."""
        return await self._run(self._service.ready())

    async def health(self) -> Health:
        """Tell, after asking once, that the service is alive, with or without a model."""
        return await self._run(self._service.health())

    async def close(self) -> None:
        """Close the connections."""
        if self._is_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, exchange: Exchange[Result]) -> Result:
        outcome: Outcome = None
        while True:
            try:
                step = exchange.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            outcome = await self._do(step)

    async def _do(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._http.request(**step.as_httpx())
        except httpx.TransportError as error:
            return error


async def _take_some(
    customers: Iterable[Customer] | AsyncIterable[Customer], batch: Batch
) -> AsyncIterator[list[Customer]]:
    """Take as many customers at a time as the batch wants next."""
    some: list[Customer] = []
    async for customer in _walk(customers):
        some.append(customer)
        if len(some) >= batch.rows:
            yield some
            some = []
    if some:
        yield some


async def _walk(customers: Iterable[Customer] | AsyncIterable[Customer]) -> AsyncIterator[Customer]:
    if isinstance(customers, AsyncIterable):
        async for customer in customers:
            yield customer
    else:
        for customer in customers:
            yield customer
