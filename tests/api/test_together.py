"""Requests at hand in the same turn of the event loop share one call of the graph, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from churn_mlops.api.together import Together
from churn_mlops.inference.scorer import Scores

if TYPE_CHECKING:
    import numpy.typing as npt


class CountingScorer:
    """Scores rows by their first feature, and counts the rows of each call."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score rows; none may be negative."""
        self.calls.append(len(matrix))
        if (matrix < 0).any():
            raise ArithmeticError("negative")
        return Scores(matrix[:, 0], matrix)

    def score_row(self, row: list[float]) -> tuple[float, list[float]]:
        """Score one."""
        scores = self.score(np.array([row], dtype=np.float32))
        return scores.probability.item(), scores.contributions[0].tolist()


@pytest.fixture
def scorer() -> CountingScorer:
    """A scorer that has not been called."""
    return CountingScorer()


def gather(scorer: Any, rows: list[list[float]], cancelled: int | None = None) -> list[Any]:
    """Score rows as requests of one turn; give what each of them got."""

    async def ask() -> list[Any]:
        together = Together(scorer)

        async def one(row: list[float]) -> Any:
            return await together.score(row)

        tasks = [asyncio.create_task(one(row)) for row in rows]
        if cancelled is not None:
            await asyncio.sleep(0)
            tasks[cancelled].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(ask())


@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_turn_is_scored_by_one_call(scorer: CountingScorer, count: int) -> None:
    """However many there are, each gets its own scores."""
    rows = [[float(place), 0.5] for place in range(count)]
    assert gather(scorer, rows) == [(row[0], row) for row in rows]
    assert scorer.calls == [count]


def test_the_next_turn_is_scored_by_the_next_call(scorer: CountingScorer) -> None:
    """Nothing of a turn is left for the next one."""

    async def ask() -> list[Any]:
        together = Together(scorer)  # type: ignore[arg-type]  # all that it calls is there
        return [await together.score([1.0]), *await asyncio.gather(together.score([2.0]), together.score([3.0]))]

    assert [probability for probability, _ in asyncio.run(ask())] == [1, 2, 3]
    assert scorer.calls == [1, 2]


def test_a_failure_is_everybodys(scorer: CountingScorer) -> None:
    """Where the call fails, each request fails, and none waits for ever."""
    assert [type(outcome) for outcome in gather(scorer, [[1.0], [-1.0]])] == [ArithmeticError] * 2


def test_a_request_that_was_given_up_is_left_out(scorer: CountingScorer) -> None:
    """The others of its turn are answered all the same."""
    gone, other = gather(scorer, [[1.0], [2.0]], cancelled=0)
    assert isinstance(gone, asyncio.CancelledError)
    assert other == (2.0, [2.0])
