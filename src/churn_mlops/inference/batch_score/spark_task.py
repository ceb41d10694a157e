"""What Spark's executors run: answers to record batches of customers, by the version that was sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from churn_mlops.data.rejects import Reject
from churn_mlops.inference.batch_score.answering import load_answerer
from churn_mlops.inference.batch_score.source import CustomerBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from churn_mlops.inference.batch_score.answering import AnswerOptions
    from churn_mlops.inference.batch_score.answers import Answers
    from churn_mlops.inference.batch_score.source import NamedColumns

PACKED_SCHEMA: Final = "rows long, answers binary"
"""Spark's name for what `pack` gives: how many customers, and their answers as a stream of Arrow."""

_REASON, _TEXT = "reject_reason", "reject_text"


@dataclass(frozen=True)
class AnswerTask:
    """Answers for the customers of a partition; it is what Spark sends to its executors.

    Attributes:
        version: Spark's broadcast of a `VersionContent`.
        columns: what those of the customers are.
        options: how they are answered for.
        name: of the table, for people.
    """

    version: Any
    columns: NamedColumns
    options: AnswerOptions
    name: str

    def pack(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give a row for each batch: see `PACKED_SCHEMA`."""
        pa.set_cpu_count(1)  # Spark runs as many tasks as there are processors
        for batch in batches:
            answered = self.answer(batch)
            yield pa.record_batch({"rows": [len(answered)], "answers": [_write_stream(answered)]})

    def answer(self, customers: pa.RecordBatch) -> pa.Table:
        """Answer for some customers.

        Returns:
            [rows], a row for each in their order: the columns of the answers, empty where there is none, and then why
            there is none and the customer's values as a text.

        Raises:
            DataFileError: a column holds what can be no value of its feature.
            VersionRefused: the version cannot be loaded.
        """
        numbers = np.arange(len(customers), dtype=np.int64)
        answerer = _load(self.version.value, self.columns, self.options)
        return join_rejects(answerer.answer(CustomerBatch(customers, self.name, numbers, (), (0, 0), 0.0)))


_load = lru_cache(maxsize=1)(load_answerer)
"""Loads a version once in a process, for as long as it is the one that is asked for."""


def join_rejects(answers: Answers) -> pa.Table:
    """Put the rows that were rejected back among the others; they are numbered from 0."""
    rejects = answers.rejects
    rows = len(answers.table) + len(rejects)
    place = np.full(rows, -1, dtype=np.int64)
    place[[reject.row for reject in rejects]] = np.arange(len(rejects))
    is_answer = place < 0
    joined = answers.table.take(pa.array(np.cumsum(is_answer) - 1, mask=~is_answer))
    for name, texts in ((_REASON, [r.reason for r in rejects]), (_TEXT, [r.text for r in rejects])):
        joined = joined.append_column(name, pa.array(texts, pa.string()).take(pa.array(place, mask=is_answer)))
    return joined


def part_rejects(joined: pa.Table, first: int) -> tuple[pa.Table, list[Reject]]:
    """Part what `join_rejects` has joined.

    Args:
        joined: of some batches, or of a part of one.
        first: the number of its first row.
    """
    is_answer = joined[_REASON].is_null()
    reasons, texts = joined[_REASON].to_pylist(), joined[_TEXT].to_pylist()
    rows = np.flatnonzero(~is_answer.to_numpy()).tolist()
    rejects = [Reject(first + row, reasons[row], texts[row]) for row in rows]
    return joined.filter(is_answer).drop_columns([_REASON, _TEXT]), rejects


def read_packed(content: bytes) -> Iterator[pa.RecordBatch]:
    """Read the answers of a row that `pack` gave."""
    with pa.ipc.open_stream(content) as stream:
        yield from stream


def _write_stream(table: pa.Table) -> bytes:
    written = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(written, table.schema, options=options) as stream:
        for batch in table.combine_chunks().to_batches():
            stream.write_batch(batch)
    return bytes(written.getvalue().to_pybytes())
