"""What one worker takes on at a time: how much is in flight, when that is too much, and who has kept it waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from churn_mlops.api.errors import write_answer
from churn_mlops.errors import Overloaded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from churn_mlops.config.settings import ServingSettings

_log: Final = logging.getLogger("churn_mlops.api")

_TIGHTER: Final = 8
"""By how much the limit is tighter in an overload, and how much less still is calm."""

_CALM_TURNS: Final = 20
"""How many calm turns, with no refusal between them, end an overload."""


class Connection(Protocol):
    """What the sweep needs to know of a connection."""

    def end_if_overdue(self) -> None:
        """End it, or the work for it, if either has taken too long."""


class Load:
    """The limits of a worker and what counts against them; its connections share it.

    Up to `max_in_flight` requests may wait or be worked on, so that a burst is answered whole. When that is not enough,
    it is an overload, and a queue of that length would only make everybody wait for all of it: only an eighth may then
    be in flight, until turns of the event loop come in which there is next to nothing to do.

    Attributes:
        in_flight: connections with a request that has arrived whole and has no answer yet.
        uploads: connections in the middle of a body that is longer than is read at once.
        refused: how many requests and connections were answered 503 so far, because there were too many.
        refusal: the answer to what is refused, as it goes over the wire.
        second: how often `sweep` was called, which is once a second: the clock of whatever waits.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self.max_in_flight = settings.max_in_flight
        self.max_in_overload = max(1, settings.max_in_flight // _TIGHTER)
        self.max_connections = settings.max_connections
        self.deadline_seconds = settings.deadline_seconds
        self.read_timeout_seconds = settings.read_timeout_seconds
        self.keep_alive_seconds = settings.keep_alive_seconds
        self.in_flight: set[Connection] = set()
        self.uploads: set[Connection] = set()
        self.refused = 0
        self.refusal = write_answer(Overloaded(), ())
        self.second = 0
        self._refused_before = 0
        self._overloaded = False
        self._calm_turns = 0
        self._this_turn = 0
        self._refused_this_turn = False

    def admits(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether one more request may start."""
        if len(self.in_flight) >= self.max_in_flight:
            self._overloaded, self._calm_turns = True, 0
            return False
        return not self._overloaded or self._fits_an_overload(loop)

    def _fits_an_overload(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._this_turn == 0:
            loop.call_soon(self._end_turn)
        self._this_turn += 1
        fits = len(self.in_flight) < self.max_in_overload
        self._refused_this_turn |= not fits
        return fits

    def _end_turn(self) -> None:
        if self._refused_this_turn:
            self._calm_turns = 0
        elif self._this_turn <= max(1, self.max_in_overload // _TIGHTER):
            self._calm_turns += 1
        self._overloaded = self._calm_turns < _CALM_TURNS
        self._this_turn, self._refused_this_turn = 0, False

    def admits_upload(self) -> bool:
        """Say whether one more long body may be read: there is memory for some of them only."""
        return len(self.uploads) < self.max_in_overload

    def sweep(self, connections: Iterable[Connection], headers: list[tuple[bytes, bytes]]) -> None:
        """End what has waited too long, and log what was refused; to be called once a second.

        Args:
            connections: all of the worker's.
            headers: what the server adds to every answer, the date for one.
        """
        self.second += 1
        self.refusal = write_answer(Overloaded(), headers)
        for connection in connections:
            connection.end_if_overdue()
        if self.refused > self._refused_before:
            about = {"error": Overloaded.__name__, "refused": self.refused - self._refused_before}
            _log.warning("too many requests: some were refused", extra=about)
            self._refused_before = self.refused
