"""Scores together what is asked at the same time: one call of the graph for a turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.inference.scorer import Scorer

_Scored = tuple[float, list[float]]


class Together:
    """Scores the rows of all requests that are at hand in a turn of the event loop, and waits for no others.

    A call of the graph costs as much as ten rows in it.

    Args:
        scorer: of the version.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._waiting: list[tuple[Sequence[float], asyncio.Future[_Scored]]] = []

    def score(self, row: Sequence[float]) -> asyncio.Future[_Scored]:
        """Score a customer, as `Scorer.score_row` does, once all that can go on in this turn has done so."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._score_all)
        future: asyncio.Future[_Scored] = loop.create_future()
        self._waiting.append((row, future))
        return future

    def _score_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            scored = self._score([row for row, _ in waiting])
        except Exception as error:  # noqa: BLE001 - it is for those who wait to fail
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), one in zip(waiting, scored, strict=True):
            if not future.done():  # the server may have given its request up
                future.set_result(one)

    def _score(self, rows: list[Sequence[float]]) -> list[_Scored]:
        if len(rows) == 1:
            return [self._scorer.score_row(rows[0])]
        scores = self._scorer.score(np.array(rows, dtype=np.float32))
        return list(zip(scores.probability.tolist(), scores.contributions.tolist(), strict=True))
