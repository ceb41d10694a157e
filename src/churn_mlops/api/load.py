"""What one worker takes on at a time: how much is in flight, when that is too much, and who has kept it waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from churn_mlops.errors import Overloaded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from churn_mlops.api.protocol import LimitedProtocol
    from churn_mlops.config.settings import ServingSettings

_log: Final = logging.getLogger("churn_mlops.api")

_CALM_SECONDS: Final = 2
"""How long after the last refusal the limit is the tighter one."""

_TIGHTER: Final = 8
"""By how much it is tighter."""


class Load:
    """The limits of a worker and what counts against them; its connections share it.

    Up to `max_in_flight` requests may wait or be worked on, so that a burst is answered whole. Once that was not enough,
    a queue as long would only make every accepted request as slow as its end: until nothing has been refused for two
    seconds, each turn of the event loop takes an eighth of it.

    Attributes:
        in_flight: connections with a request that has arrived whole and has no answer yet.
        uploads: connections in the middle of a body that is longer than is read at once.
        refused: how many requests and connections were answered 503 so far, because there were too many.
        second: how often `sweep` was called, which is once a second: the clock of whatever waits.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self.max_in_flight = settings.max_in_flight
        self.max_each_turn = max(1, settings.max_in_flight // _TIGHTER)
        self.max_connections = settings.max_connections
        self.deadline_seconds = settings.deadline_seconds
        self.read_timeout_seconds = settings.read_timeout_seconds
        self.keep_alive_seconds = settings.keep_alive_seconds
        self.in_flight: set[LimitedProtocol] = set()
        self.uploads: set[LimitedProtocol] = set()
        self.refused = 0
        self.second = 0
        self._refused_before = 0
        self._tight_until = 0
        self._this_turn = 0

    def admits(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether one more request may start; what is refused is counted."""
        if len(self.in_flight) < self.max_in_flight and (
            self.second >= self._tight_until or self._fits_this_turn(loop.call_soon)
        ):
            return True
        self._tight_until = self.second + _CALM_SECONDS
        self.refused += 1
        return False

    def _fits_this_turn(self, call_soon: Callable[[Callable[[], None]], object]) -> bool:
        # all that was read in a turn of the event loop is begun before the next is read: this is the queue's length
        if self._this_turn == 0:
            call_soon(self._end_turn)
        self._this_turn += 1
        return self._this_turn <= self.max_each_turn

    def _end_turn(self) -> None:
        self._this_turn = 0

    def admits_upload(self) -> bool:
        """Say whether one more long body may be read: there is memory for some of them only."""
        if len(self.uploads) < self.max_each_turn:
            return True
        self.refused += 1
        return False

    def sweep(self, connections: list[LimitedProtocol]) -> None:
        """End what has waited too long, and log what was refused; to be called once a second."""
        self.second += 1
        for connection in connections:
            connection.end_if_overdue()
        if self.refused > self._refused_before:
            about = {"error": Overloaded.__name__, "refused": self.refused - self._refused_before}
            _log.warning("too many requests: some were refused", extra=about)
            self._refused_before = self.refused
