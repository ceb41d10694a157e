"""Batches: split, streamed and put together again in order, with little in memory."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from scripted_server import ANSWER, FEATURES, Reply

from churn_mlops.client import AsyncChurnClient, ChurnClient, Refused, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from scripted_server import ScriptedServer

    from churn_mlops.client import Customer

    Ask = Callable[..., Any]
    Serve = Callable[..., ScriptedServer]
    StartService = Callable[..., tuple[Any, str, Path]]

MANY = 25_000


class Customers:
    """Makes customers as they are taken, and knows how many were."""

    def __init__(self, count: int, **spoilt: int) -> None:
        self.taken = 0
        self._count = count
        self._spoilt = {row: field for field, row in spoilt.items()}

    def __iter__(self) -> Iterator[Customer]:
        for number in range(self._count):
            self.taken += 1
            features = {**FEATURES, "tenure": number % 72}
            if number in self._spoilt:
                features[self._spoilt[number]] = 1
            yield {"customer_id": number, "features": features}

    async def slowly(self) -> AsyncIterator[Customer]:
        """Make them as a database or a queue would."""
        for customer in self:
            if self.taken % 1000 == 0:
                await asyncio.sleep(0)
            yield customer


def batch(count: int) -> dict[str, Any]:
    """Answer for so many customers."""
    return {"predictions": [{**ANSWER, "customer_id": number} for number in range(count)]}


def test_many_customers_are_streamed_by_the_one(start_service: StartService, sample_artifacts: Path) -> None:
    """25,000 from a generator come back in order, and never more than one part of them was taken ahead."""
    _, url, _ = start_service(sample_artifacts)
    customers = Customers(MANY)
    ahead = []
    with ChurnClient(url, batch_rows=1000) as client:
        for number, answer in enumerate(client.predict_batch(customers, reasons=1)):
            assert answer.customer_id == number
            ahead.append(customers.taken - number)
    assert (len(ahead), max(ahead)) == (MANY, 1000)


@pytest.mark.parametrize("is_async_source", [False, True])
def test_many_customers_are_streamed_by_the_other(
    is_async_source: bool, start_service: StartService, sample_artifacts: Path
) -> None:
    """Also from an asynchronous source, and with no more in memory than the parts that are on the way."""

    async def stream(url: str) -> list[int]:
        customers = Customers(9000)
        ahead = []
        async with AsyncChurnClient(url, batch_rows=1000, in_flight=3) as client:
            number = 0
            source = customers.slowly() if is_async_source else customers
            async for answer in client.predict_batch(source, reasons=1):
                assert answer.customer_id == number
                ahead.append(customers.taken - number)
                number += 1
        return ahead

    _, url, _ = start_service(sample_artifacts)
    ahead = asyncio.run(stream(url))
    assert (len(ahead), max(ahead)) == (9000, 3000)


def test_what_the_service_takes_decides(ask: Ask, start_service: StartService, sample_artifacts: Path) -> None:
    """Parts that are too many rows, or too many bytes, are halved until they fit, and nobody is lost or moved."""
    limits = {"CHURN_MLOPS__SERVING__MAX_BATCH_ROWS": "400", "CHURN_MLOPS__SERVING__MAX_BODY_BYTES": "60000"}
    _, url, _ = start_service(sample_artifacts, **limits)
    answers = ask(url, "predict_batch", Customers(2500), 1)
    assert [answer.customer_id for answer in answers] == list(range(2500))


def test_what_was_refused_once_is_not_sent_again(serve: Serve) -> None:
    """After a part was too many, the next ones are smaller from the start."""
    too_many = Reply(422, {"error": "BatchRefused", "detail": "Too many.", "fields": ["customers"]})
    server = serve(too_many, Reply(content=batch(2)))
    with ChurnClient(server.url, batch_rows=4) as client:
        assert len(list(client.predict_batch(Customers(12)))) == 12
    assert [len(json.loads(request.body)["customers"]) for request in server.requests] == [4, 2, 2, 2, 2, 2, 2]


def test_a_customer_at_fault_is_numbered_through(ask: Ask, start_service: StartService, sample_artifacts: Path) -> None:
    """All at fault among those sent together are listed, by their place among all; those before are answered."""
    _, url, _ = start_service(sample_artifacts)
    with pytest.raises(Refused) as refused:
        ask(url, "predict_batch", Customers(3000, tenur=1500, contrakt=1999, partnr=2500))
    assert [(bad.row, bad.fields) for bad in refused.value.rows] == [(1500, ("tenur",)), (1999, ("contrakt",))]
    assert "the closest is 'tenure'" in str(refused.value.rows[0].detail)
    assert (refused.value.status, refused.value.error) == (422, "BatchRefused")


def test_those_before_a_customer_at_fault_are_answered(serve: Serve) -> None:
    """What came back before is not taken away by what comes later."""
    bad = {"error": "BatchRefused", "detail": "No.", "fields": ["tenur"], "rows": [{"row": 1, "fields": ["tenur"]}]}
    server = serve(Reply(content=batch(2)), Reply(422, bad))
    with ChurnClient(server.url, batch_rows=2) as client:
        answers = client.predict_batch(Customers(4))
        assert [next(answers).customer_id for _ in range(2)] == [0, 1]
        with pytest.raises(Refused) as refused:
            next(answers)
    assert refused.value.rows[0].row == 3


def test_each_part_is_asked_again_by_itself(ask: Ask, serve: Serve) -> None:
    """A service that is busy in between costs time, and nobody an answer."""
    busy = Reply(503, {"error": "Overloaded", "detail": "Too much to do.", "fields": []})
    server = serve(Reply(content=batch(2)), busy, Reply(content=batch(2)))
    assert len(ask(server.url, "predict_batch", Customers(6), None, options={"batch_rows": 2})) == 6
    assert len(server.requests) == 4


def test_an_empty_batch_asks_nothing(ask: Ask, serve: Serve) -> None:
    """No customer, no answer, no request."""
    server = serve(Reply())
    assert ask(server.url, "predict_batch", []) == []
    assert server.requests == []


def test_a_wrong_number_of_answers_is_an_error(ask: Ask, serve: Serve) -> None:
    """Answers are told apart by their place, so one too few is none at all."""
    with pytest.raises(UnexpectedAnswer, match="1 predictions for 2 customers"):
        ask(serve(Reply(content=batch(1))).url, "predict_batch", Customers(2))


def test_what_is_on_the_way_is_given_up_with_the_stream(serve: Serve) -> None:
    """Whoever stops reading leaves no request behind, and takes no further customer."""

    async def read_one(url: str) -> tuple[int, int]:
        customers = Customers(100)
        async with AsyncChurnClient(url, batch_rows=1, in_flight=3) as client:
            async with aclosing(client.predict_batch(customers)) as answers:
                await anext(answers)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            return customers.taken, len(left)

    start = time.monotonic()
    server = serve(lambda body: Reply(content=batch(1), hang_seconds=0 if b'"customer_id":0,' in body else 3))
    assert asyncio.run(read_one(server.url)) == (3, 0)
    assert time.monotonic() - start < 2.5  # had it waited for them, 3 s


def test_a_source_that_fails_is_not_hidden(ask: Ask, serve: Serve) -> None:
    """Its own error is raised, and what is on the way is given up."""

    def read() -> Iterator[Customer]:
        yield from Customers(3)
        msg = "the file ended early"
        raise OSError(msg)

    with pytest.raises(OSError, match="the file ended early"):
        ask(serve(Reply(content=batch(1))).url, "predict_batch", read(), None, options={"batch_rows": 1})
