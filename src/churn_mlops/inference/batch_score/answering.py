"""Who answers for the customers of a source: threads of this process, or others elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from churn_mlops.inference.batch_score.answers import Answers
    from churn_mlops.inference.batch_score.source import CustomerBatch, CustomerColumns, CustomerSource, Position
    from churn_mlops.inference.batch_score.version_content import VersionContent


@dataclass(frozen=True)
class AnswerOptions:
    """How customers are answered for.

    Attributes:
        reasons: how many of each; 0 for all.
        max_missing_share: a customer with a larger share of missing features is rejected.
        missing_values: texts that mean a missing value.
    """

    reasons: int
    max_missing_share: float
    missing_values: tuple[str, ...]


def load_answerer(version: VersionContent, columns: CustomerColumns, options: AnswerOptions) -> Answerer:
    """Load a version with all its horizons.

    Args:
        version: which.
        columns: what those of the customers are.
        options: how they are answered for.

    Raises:
        VersionRefused: a graph fails a check.
    """
    manifest = version.manifest
    scorer, further = QuickScorer.load(version, manifest), QuickScorer.load_further(version, manifest)
    return Answerer(scorer, columns, options.reasons, options.max_missing_share, options.missing_values, further)


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
