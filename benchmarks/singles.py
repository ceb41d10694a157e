"""Single customers at half of what the service can do, while batches of 10,000 follow each other, beside without them.

`python -m benchmarks.singles` (Linux, two cores): the service on one core, single requests on an open loop (see
`benchmarks.overload`) and the batches from the other. Half is of the highest rate at which it answers all singles.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

import httpx
import numpy as np
import uvloop

from benchmarks.comparison import Comparison, summarise
from benchmarks.customers import as_request, draw_customers
from benchmarks.load import check_tools
from benchmarks.overload import LOAD_CORE, PORT, find_maximum, open_pool, service, write_request
from benchmarks.table import show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.overload import Pool

ROWS: Final = 10_000
ROUNDS: Final = 3
SECONDS: Final = 6


def main() -> None:
    """Measure, and show."""
    show(measure())


def measure() -> list[Comparison]:
    """Start the service, and ask it for singles with and without batches beside them, in turn."""
    check_tools()
    before = os.sched_getaffinity(0)
    with service():
        try:
            os.sched_setaffinity(0, {LOAD_CORE})
            return uvloop.run(_measure(write_request()))
        finally:
            os.sched_setaffinity(0, before)


async def _measure(request: bytes) -> list[Comparison]:
    pool = await open_pool(request, PORT)
    half = 0.5 * await find_maximum(pool)
    rounds, answered = [], 0
    for _ in range(ROUNDS):
        alone = await _ask(pool, half)
        async with _batches() as done:
            beside = await _ask(pool, half)
        answered += len(done)
        rounds.append((beside, alone))
    if not answered:
        raise RuntimeError("No batch was answered while singles were asked for.")
    name = f"/predict at {half:,.0f}/s beside batches of {ROWS:,}"
    places = enumerate((("p99", "≤ 10"), ("p50", "")))
    return [
        summarise(f"{name}: {what}", "ms", [(ours[place], other[place]) for ours, other in rounds], "alone", wanted)
        for place, (what, wanted) in places
    ]


async def _ask(pool: Pool, rate: float) -> tuple[float, float]:
    """Give p99 and p50 in milliseconds of a phase in which everything is answered."""
    outcome = await pool.offer(rate, SECONDS)
    if len(outcome.latency(200)) != int(rate * SECONDS):
        raise RuntimeError(f"Of {int(rate * SECONDS)} requests only {len(outcome.latency(200))} were answered 200.")
    nearly, middle = np.percentile(outcome.latency(200), [99, 50])
    return float(nearly), float(middle)


@asynccontextmanager
async def _batches() -> AsyncIterator[list[int]]:
    """Post batches one after the other meanwhile, from another process; in the end the list has the rows of each."""
    answered: list[int] = []
    poster = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.singles", "--post", stdout=subprocess.PIPE
    )
    assert poster.stdout is not None  # noqa: S101 - it was asked for
    await poster.stdout.readline()  # the first one is answered
    reader = asyncio.create_task(_note(poster.stdout, answered))
    try:
        yield answered
    finally:
        poster.terminate()
        await poster.wait()
        await reader


async def _note(lines: asyncio.StreamReader, answered: list[int]) -> None:
    answered.extend([int(line) async for line in lines])


def post_batches() -> None:
    """Post the same batch again and again, and print how many rows each answer has."""
    customers = [as_request(*pair) for pair in enumerate(islice(cycle(draw_customers()), ROWS))]
    body = json.dumps({"customers": customers}).encode()
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        while True:
            answer = client.post("/predict/batch", content=body, headers={"content-type": "application/json"})
            answer.raise_for_status()
            print(answer.content.count(b'"churn_probability"'), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--post"]:
        post_batches()
    else:
        main()
