"""When a request is made again: how often, after which pause, and until when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_DOUBLINGS: Final = 60
"""More of them exceed any limit that is meant, and in the end what a float can hold."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to keep asking while the service is unavailable or cannot be reached.

    Attributes:
        attempts: the most requests that are made; 1 asks once.
        deadline_seconds: after the first request began, none begins any more, and none is waited for longer than that
            at any point.
        backoff_seconds: the longest first pause; each further one may be twice as long.
        max_backoff_seconds: the longest pause, unless the service asks for a longer one.
    """

    attempts: int = 4
    deadline_seconds: float = 30.0
    backoff_seconds: float = 0.2
    max_backoff_seconds: float = 5.0

    def pause_seconds(self, failed: int, asked_seconds: float = 0.0) -> float:
        """Draw the pause after so many attempts failed: that which the service asked for, and a random one on top.

        The random one is "full jitter", uniform from 0 to the longest: clients that failed together do not come back
        together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        """
        doublings = min(failed - 1, _DOUBLINGS)
        longest = min(self.backoff_seconds * 2.0**doublings, self.max_backoff_seconds)
        return asked_seconds + random.uniform(0, longest)  # noqa: S311 - spreads load, keeps no secret


DEFAULT_RETRY: Final = Retry()
