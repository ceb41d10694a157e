"""A batch of 1,000 real customers, from the bytes of the request to those of the answer, beside parsing and writing.

Processor time of all threads, on one processor: what else the machine does is not counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import uvloop
from pydantic_core import from_json, to_json

from benchmarks.comparison import Comparison, compare
from benchmarks.table import show
from churn_mlops.api.app import create_app
from churn_mlops.api.memory import keep_what_is_there
from churn_mlops.config.settings import DataSettings, Settings
from churn_mlops.data.table import load_customers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from churn_mlops.models.signature import Feature, Signature

ROUNDS = 15
ROWS = 1000


def measure() -> Iterator[Comparison]:
    """Serve the champion of the configured registry, which has to be one of the sample table, on one processor."""
    if hasattr(os, "sched_setaffinity"):
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(processors)})
        try:
            yield from _measure()
        finally:
            os.sched_setaffinity(0, processors)
    else:
        yield from _measure()


def _measure() -> Iterator[Comparison]:
    app = create_app(Settings())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        logging.getLogger("churn_mlops").handlers.clear()
        signature = app.state.served.scorer.manifest.signature
        frame = load_customers(DataSettings(source="sample")).features.sample(ROWS, random_state=0)
        request = to_json({"customers": [_as_request(row, signature) for row in frame.to_dict("records")]})
        table = _as_table(frame, signature)

        def post(body: bytes, headers: dict[str, str]) -> bytes:
            # not runner.run, which writes the result out to find that it is no signal handler
            return runner.get_loop().run_until_complete(_post(app, body, headers))

        answer = from_json(post(request, {}))
        keep_what_is_there()  # as the server does, before it answers
        by_json = _timed(lambda: post(request, {}))
        by_csv = _timed(lambda: post(table, {"content-type": "text/csv", "accept": "text/csv"}))
        same = _timed(lambda: (from_json(request), to_json(answer)))
        quickest = _timed(lambda: (from_json(request), msgspec.json.encode(answer)))
        named = f"{ROWS:,} rows, 3 reasons"
        yield compare(f"{named}: JSON", "ms", by_json, same, "pydantic_core parsing and writing it", ROUNDS)
        yield compare(f"{named}: JSON", "ms", by_json, quickest, "the same, written by msgspec", ROUNDS)
        yield compare(f"{named}: CSV", "ms", by_csv, by_json, "the same customers as JSON", ROUNDS)
        runner.run(lifespan.__aexit__(None, None, None))


async def _post(app: Any, body: bytes, headers: dict[str, str]) -> bytes:
    """Call the application as a server does; give the parts of the answer joined, which is not its work."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    names = [(name.encode(), value.encode()) for name, value in headers.items()]
    await app({**_SCOPE, "headers": [*names, (b"content-length", b"%d" % len(body))]}, receive, send)
    assert sent[0]["status"] == 200, sent  # noqa: S101 - a figure of anything else would be none
    return b"".join(message.get("body", b"") for message in sent[1:])


_SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/predict/batch",
    "raw_path": b"/predict/batch",
    "query_string": b"",
    "root_path": "",
    "scheme": "http",
    "server": ("service", 80),
}


def _as_request(row: dict[Any, Any], signature: Signature) -> dict[str, Any]:
    return {"features": {feature.name: _as_value(row[feature.name], feature) for feature in signature.features}}


def _as_value(cell: Any, feature: Feature) -> Any:
    if pd.isna(cell):
        return None
    if feature.kind == "categorical":
        return str(cell)
    return bool(cell) if feature.kind == "boolean" else int(cell) if float(cell).is_integer() else float(cell)


def _as_table(frame: pd.DataFrame, signature: Signature) -> bytes:
    values = {
        feature.name: [_as_value(cell, feature) for cell in frame[feature.name]] for feature in signature.features
    }
    return pd.DataFrame(values, dtype=object).to_csv(index=False).encode()


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def milliseconds() -> float:
        start = time.process_time()
        call()
        return (time.process_time() - start) * 1e3

    return milliseconds


if __name__ == "__main__":
    show(list(measure()))
