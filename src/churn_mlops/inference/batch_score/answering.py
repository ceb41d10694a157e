"""Who answers for the customers of a source: threads of this process, or others elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from churn_mlops.inference.batch_score.answers import Answerer, Answers
    from churn_mlops.inference.batch_score.source import CustomerBatch, CustomerSource, Position


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch of customers that was answered for.

    Attributes:
        answers: what is said of them.
        file: where they stand, for people.
        end: where the next batch begins.
        done: share of the source that is answered for after it, 0 to 1.
    """

    answers: Answers
    file: str
    end: Position
    done: float


class Answering(Protocol):
    """Answers for all customers of a source, batch by batch."""

    @property
    def fingerprint(self) -> str:
        """Names the content of the source: another one, another fingerprint."""

    def ask(self, rows: int, after: Position | None) -> Iterator[Callable[[], Answered]]:
        """Give the batches that follow a position, or all, each as a call that answers for it, made by any thread.

        Args:
            rows: how many customers a batch has at most.
            after: the `end` of the last batch that is not wanted any more.

        Raises:
            DataError: the source cannot be read; the sentence says where and what was expected.
        """


@dataclass(frozen=True)
class AnsweringHere:
    """Answers by the threads of this process.

    Attributes:
        source: of the customers.
        answerer: by which they are answered for.
    """

    source: CustomerSource
    answerer: Answerer

    @property
    def fingerprint(self) -> str:
        """The source's own."""
        return self.source.fingerprint

    def ask(self, rows: int, after: Position | None) -> Iterator[Callable[[], Answered]]:
        """Give the batches of the source."""
        for batch in self.source.batches(rows, after):
            yield partial(self._answer, batch)

    def _answer(self, batch: CustomerBatch) -> Answered:
        return Answered(self.answerer.answer(batch), batch.file, batch.end, batch.done)
