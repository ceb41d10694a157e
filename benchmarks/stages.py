"""Where the time of one /predict goes, in process: every stage on its own, over many different customers."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.requests import Request

from benchmarks.comparison import Comparison, take_in_turn
from benchmarks.customers import as_request, draw_customers
from churn_mlops.api.app import create_app
from churn_mlops.api.routes import predict
from churn_mlops.inference.encoding import CustomerEncoder
from churn_mlops.inference.reasons import Explainer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from fastapi import FastAPI

    from churn_mlops.config import Settings

REPEATS = 4


def measure(settings: Settings, rounds: int) -> Iterator[Comparison]:
    """Start the application in this process, and time each stage beside the whole of it."""
    app = create_app(settings)
    with asyncio.Runner() as runner, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        for handler in logging.getLogger("churn_mlops").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(nowhere)
        timed = _time_stages(app, runner, settings.serving.reasons)
        found = take_in_turn(list(timed.values()), rounds)
        runner.run(lifespan.__aexit__(None, None, None))
    each = dict(zip(timed, map(statistics.median, zip(*found, strict=True)), strict=True))
    for name, microseconds in _split(each).items():
        share = microseconds / each["whole"]
        yield Comparison(f"/predict in process: {name}", "µs", microseconds, each["whole"], "all of it", share)


def _split(each: Mapping[str, float]) -> dict[str, float]:
    """Take apart what was timed together: the call of a predictor, of the route, of the application."""
    stages = {name: each[name] for name in ("read and validate", "encode", "graph", "reasons", "write")}
    stages["decide and put together"] = each["predictor"] - each["graph"] - each["reasons"]
    stages["request, response"] = each["route"] - sum(stages.values())
    stages["id, log line and all else around it"] = each["whole"] - each["route"]
    return stages


def _time_stages(app: FastAPI, runner: asyncio.Runner, reasons: int) -> dict[str, Callable[[], float]]:
    """Give what times each stage, in microseconds a customer."""
    served = app.state.served
    schema, predictor, scorer = served.schema, served.predictor, served.scorer
    encoder, explainer = CustomerEncoder(scorer.manifest.signature), Explainer(scorer.manifest.signature)
    bodies = [json.dumps(as_request(*pair)).encode() for pair in enumerate(draw_customers())]
    customers = [schema.read(body) for body in bodies]
    encoded = [predictor.encode(customer["features"]) for customer in customers]
    rows = [row for row, _ in encoded]
    contributions = [scorer.score_row(row)[1] for row in rows]
    pairs = list(zip(customers, encoded, strict=True))
    answers = [predictor.predict(customer, row, reasons) for customer, row in pairs]
    parts = list(zip(customers, contributions, strict=True))

    async def call_route(scope: Any, receive: Any, send: Any) -> None:
        await (await predict(Request(scope | {"app": app}, receive)))(scope, receive, send)

    return {
        "read and validate": _timed(schema.read, bodies),
        "encode": _timed(lambda customer: encoder.encode(customer["features"]), customers),
        "graph": _timed(scorer.score_row, rows),
        "reasons": _timed(lambda part: explainer.explain(part[0]["features"], part[1], reasons), parts),
        "write": _timed(to_json, answers),
        "predictor": _timed(lambda pair: predictor.predict(*pair, reasons), pairs),
        "route": _timed_requests(runner, bodies, call_route),
        "whole": _timed_requests(runner, bodies, app),
    }


def _timed(call: Callable[[Any], object], arguments: Sequence[Any]) -> Callable[[], float]:
    def microseconds() -> float:
        start = time.perf_counter()
        for _ in range(REPEATS):
            for argument in arguments:
                call(argument)
        return (time.perf_counter() - start) / REPEATS / len(arguments) * 1e6

    return microseconds


def _timed_requests(
    runner: asyncio.Runner, bodies: Sequence[bytes], app: Callable[[Any, Any, Any], Awaitable[None]]
) -> Callable[[], float]:
    """Time an application that is given requests as uvicorn gives them."""

    async def receive_all() -> float:
        start = time.perf_counter()
        for _ in range(REPEATS):
            for body in bodies:
                await _ask(app, body)
        return (time.perf_counter() - start) / REPEATS / len(bodies) * 1e6

    return lambda: runner.run(receive_all())


async def _ask(app: Callable[[Any, Any, Any], Awaitable[None]], body: bytes) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    if statuses != [200]:
        raise RuntimeError(f"/predict answered {statuses} instead of 200.")
