"""Long works take turns, and whatever is short comes in between."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest

from churn_mlops.api.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Generator


def work(log: list[str], name: str, steps: int) -> Generator[None, None, str]:
    """Note each step, which takes longer than a turn."""
    for _ in range(steps):
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end:
            pass
        log.append(name)
        yield
    return name


async def tick(log: list[str]) -> None:
    """Note each turn of the event loop."""
    while True:
        log.append("|")
        await asyncio.sleep(0)


def test_one_step_at_a_time_is_done_between_turns_of_the_loop() -> None:
    """However many works there are, one of them does one step before others are let through; and all get on."""
    log: list[str] = []

    async def run() -> list[str]:
        turns = Turns()
        ticking = asyncio.create_task(tick(log))
        done = await asyncio.gather(*(turns.take(work(log, name, 5)) for name in "abc"))
        ticking.cancel()
        return done

    assert asyncio.run(run()) == ["a", "b", "c"]
    steps = "".join(log).split("|")
    assert max(map(len, steps)) == 1
    assert "".join(steps) == "abc" * 5


def spin(seconds: float) -> None:
    """Keep the event loop for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_what_is_short_gets_through_all_its_rounds_between_two_turns() -> None:
    """A request that is read, begun and answered in a round of the loop each waits for one turn, not for three."""
    log: list[str] = []

    async def request() -> int:
        before = len(log)
        for _ in range(3):
            spin(0.0003)
            await asyncio.sleep(0)
        return len(log) - before

    async def run() -> list[int]:
        batch = asyncio.create_task(Turns().take(work(log, "x", 40)))
        waited = []
        for _ in range(10):
            await asyncio.sleep(0.002)
            waited.append(await asyncio.create_task(request()))
        await batch
        return waited

    assert statistics.median(asyncio.run(run())) <= 1


def test_works_get_on_although_the_loop_is_never_idle() -> None:
    """Behind a turn the others have 4 ms, however much they have to do."""

    async def never_idle() -> None:
        while True:
            spin(0.001)
            await asyncio.sleep(0)

    async def run() -> str:
        busy = asyncio.create_task(never_idle())
        done = await Turns().take(work([], "x", 20))
        busy.cancel()
        return done

    assert asyncio.run(asyncio.wait_for(run(), 10)) == "x"


def test_a_work_that_is_given_up_frees_its_turn() -> None:
    """Cancelled or failed, a work leaves the others theirs."""

    def failing() -> Generator[None]:
        yield
        msg = "no"
        raise ValueError(msg)

    async def run() -> str:
        turns = Turns()
        given_up = asyncio.create_task(turns.take(work([], "x", 1000)))
        await asyncio.sleep(0.01)
        given_up.cancel()
        with pytest.raises(ValueError, match="no"):
            await turns.take(failing())
        return await turns.take(work([], "y", 3))

    assert asyncio.run(asyncio.wait_for(run(), 10)) == "y"
