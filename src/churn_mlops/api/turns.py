"""Long work in the event loop, a moment at a time, so that short requests are answered in between."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

Result = TypeVar("Result")

_TURN_SECONDS: Final = 0.001
_IDLE_SECONDS: Final = 0.0001
_LEAVE_SECONDS: Final = 0.004


class Turns:
    """Lets works have the event loop in turn: one of them at a time, a moment each, and others in between.

    However many there are, what is short waits for a moment of one of them only: behind each turn, the loop is left to
    whatever else there is to do until it has nothing left, for 4 ms at most.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def take(self, work: Generator[None, None, Result]) -> Result:
        """Do a work to its end, and give its result.

        Args:
            work: yields wherever it can be interrupted, which has to be every fraction of a millisecond.
        """
        while True:
            async with self._turn:
                end = time.perf_counter() + _TURN_SECONDS
                try:
                    while time.perf_counter() < end:
                        next(work)
                except StopIteration as done:
                    return done.value  # type: ignore[no-any-return]  # StopIteration does not know what it holds
                # before the next one's turn, so that whatever else is waiting comes first
                await _leave_the_loop()


async def _leave_the_loop() -> None:
    """Wait until the event loop has gone round once with next to nothing to do.

    A request takes several rounds: it is read, begun, answered. If each were a turn's time apart, it would wait for as
    many turns.
    """
    now = time.perf_counter()
    end = now + _LEAVE_SECONDS
    while now < end:
        begun = now
        await asyncio.sleep(0)
        now = time.perf_counter()
        if now - begun < _IDLE_SECONDS:
            return
