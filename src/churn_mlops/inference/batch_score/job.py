"""The batch job: every customer of a source scored, explained and written, in bounded memory, and taken up again."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import DataError
from churn_mlops.inference.batch_score.answering import AnswerOptions
from churn_mlops.inference.batch_score.contact_list import ContactList
from churn_mlops.inference.batch_score.formats import FORMATS
from churn_mlops.inference.batch_score.unfinished import open_unfinished

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from churn_mlops.inference.batch_score.answering import Answered, Answering
    from churn_mlops.inference.batch_score.formats import Part
    from churn_mlops.inference.batch_score.options import By, Form
    from churn_mlops.inference.batch_score.source import Position
    from churn_mlops.inference.batch_score.unfinished import Unfinished
    from churn_mlops.registry.manifest import Manifest

_COLUMNS: Final[dict[By, str]] = {"probability": "churn_probability", "expected_profit": "expected_profit"}

_FORMAT_VERSION: Final = 1
"""Raised with any change of what is written: what an older program left unfinished is then begun anew."""

_MOST_ROWS: Final = 1 << 16
_FEWEST_ROWS: Final = 1 << 10
_NUMBERS_AT_ONCE: Final = 1 << 21
_SECONDS_BETWEEN_SAVES: Final = 1.0


@dataclass(frozen=True)
class Order:
    """What is to be written.

    Attributes:
        output: the file.
        rejects: the file of the rows that cannot be scored.
        form: parquet or csv.
        reasons: how many of each customer; 0 for all.
        top: how many customers, best first; None for all in the order of the source.
        by: what is best, where `top` is given.
        max_missing_share: a customer with a larger share of missing features is rejected.
        missing_values: texts that mean a missing value.
        name: of the output for people; its path without one.
    """

    output: Path
    rejects: Path
    form: Form
    reasons: int
    top: int | None
    by: By
    max_missing_share: float
    missing_values: tuple[str, ...]
    name: str | None = None

    @property
    def options(self) -> AnswerOptions:
        """How customers are answered for."""
        return AnswerOptions(self.reasons, self.max_missing_share, self.missing_values)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: the share of the source that is scored, 0 to 1, and how many customers that were."""

    done: float
    customers: int


def write_answers(
    manifest: Manifest, answering: Answering, order: Order, observe: Callable[[Progress], None] = lambda _: None
) -> Counter[str]:
    """Have all customers answered for, here or elsewhere, and replace the output at once when all are.

    A run that is killed leaves the output as it was; one of the same version, source and order goes on where it was.

    Args:
        manifest: of the version.
        answering: who answers, by the options of the same order.
        order: what is to be written.
        observe: told how far the run is.

    Returns:
        How many customers were scored and rejected, are predicted to leave, and have something missing, never seen or
        out of range.

    Raises:
        DataError: the source cannot be read, or none of its customers can be scored.
        OutputInUse: another process writes the same output.
        NotWritable: the folder of the output refuses.
    """
    with explain_unwritable(order.rejects.parent):
        order.rejects.parent.mkdir(parents=True, exist_ok=True)
    with (
        explain_unwritable(order.output.parent),
        open_unfinished(order.output, _fingerprint(manifest, answering, order), order.name) as unfinished,
    ):
        _Run(manifest, answering, order, unfinished).run(observe)
        return unfinished.counts


class _Run:
    """One run; what is done with the answers depends on whether all or the best are wanted."""

    def __init__(self, manifest: Manifest, answering: Answering, order: Order, unfinished: Unfinished) -> None:
        features = len(manifest.signature.features)
        self._rows = min(_MOST_ROWS, max(_FEWEST_ROWS, _NUMBERS_AT_ONCE // features))
        self._answering, self._order, self._unfinished = answering, order, unfinished
        self._format = FORMATS[order.form]()
        best = unfinished.read_best()
        self._best = None if order.top is None else ContactList(order.top, _COLUMNS[order.by], best)

    def run(self, observe: Callable[[Progress], None]) -> None:
        saved_at = time.monotonic()
        answered = None
        for answered, part in self._work():
            self._keep(answered, part)
            if time.monotonic() - saved_at >= _SECONDS_BETWEEN_SAVES:
                self._save(answered.end)
                saved_at = time.monotonic()
            observe(Progress(answered.done, self._unfinished.counts["scored"]))
        if answered is not None:
            self._save(answered.end)
        if not self._unfinished.counts["scored"]:
            self._unfinished.give_up(self._order.rejects)
            raise DataError(
                f"None of the {self._unfinished.counts['rejected']:,} rows could be scored; {self._order.rejects} says "
                f"why, and no answers were written."
            )
        if self._best is not None and self._best.kept is not None:
            self._unfinished.add(self._format, self._format.write(self._best.kept))
        self._unfinished.finish(self._format, self._order.output, self._order.rejects)

    def _work(self) -> Iterator[tuple[Answered, Part | None]]:
        """Answer for batches side by side, and give them in their order."""
        threads = available_cpus()
        waiting: deque[Future[tuple[Answered, Part | None]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for answer in self._answering.ask(self._rows, self._unfinished.position):
                waiting.append(pool.submit(self._answer, answer))
                if len(waiting) > 2 * threads:  # so that none is without work while the next ones are read
                    yield waiting.popleft().result()
            for earliest in waiting:
                yield earliest.result()

    def _answer(self, answer: Callable[[], Answered]) -> tuple[Answered, Part | None]:
        answered = answer()
        table = answered.answers.table
        is_written = self._best is None and len(table) > 0
        return answered, self._format.write(table) if is_written else None

    def _keep(self, answered: Answered, part: Part | None) -> None:
        self._unfinished.counts.update(answered.answers.counts)
        self._unfinished.reject(answered.file, answered.answers.rejects)
        if self._best is not None:
            self._best.add(answered.answers.table)
        elif part is not None:
            self._unfinished.add(self._format, part)

    def _save(self, position: Position) -> None:
        self._unfinished.save(position, None if self._best is None else self._best.kept)


def _fingerprint(manifest: Manifest, answering: Answering, order: Order) -> str:
    """Name all that the bytes of the output depend on."""
    settings = (order.form, order.reasons, order.top, order.by, order.max_missing_share, order.missing_values)
    named = (_FORMAT_VERSION, pa.__version__, manifest.version, answering.fingerprint, settings)
    return hashlib.sha256(repr(named).encode()).hexdigest()[:16]
