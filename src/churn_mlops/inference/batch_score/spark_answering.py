"""Has customers answered for by the executors of Spark, and takes their answers batch by batch, in order."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException
from pyspark.sql import functions as sql
from pyspark.sql.pandas.types import to_arrow_schema

from churn_mlops.errors import DataError, MissingColumn
from churn_mlops.inference.batch_score.answering import Answered
from churn_mlops.inference.batch_score.answers import QUALITY, Answers
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.snapshot_source import hash_content
from churn_mlops.inference.batch_score.spark_task import (
    PACKED_SCHEMA,
    AnswerTask,
    part_rejects,
    read_packed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import ibis.expr.types as ir

    from churn_mlops.data.events.engine import Spark
    from churn_mlops.inference.batch_score.answering import AnswerOptions
    from churn_mlops.inference.batch_score.source import NamedColumns, Position
    from churn_mlops.inference.batch_score.version_content import VersionContent

_OWN_ERROR: Final = re.compile(r"^churn_mlops\.errors\.\w+: (.+)$", re.MULTILINE)
_MISSING_MODULE: Final = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
_ORDER: Final = "_order"


class SparkCustomers:
    """Customers in a table of Spark.

    Args:
        engine: the session.
        table: the customers.
        name: of the table, for people.
        features: the columns that there have to be.
        columns: what the others mean.

    Attributes:
        engine: the session.
        name: of the table.
        columns: what the columns mean that are no features.
        table: only the columns that are needed.

    Raises:
        MissingColumn: the table lacks a column.
    """

    def __init__(
        self, engine: Spark, table: ir.Table, name: str, features: Sequence[str], columns: NamedColumns
    ) -> None:
        self.engine, self.name, self.columns = engine, name, columns
        named = filter(None, (columns.customer_id, *features, columns.customer_value, columns.snapshot_date))
        needed = list(dict.fromkeys(named))
        for column in needed:
            if column not in table.columns:
                names_it = "the model" if column in features else "an option or the configuration"
                raise MissingColumn(f"{name}: {names_it}", column, table.columns)
        self.table = table.select(needed)

    def order(self) -> Any:
        """Give Spark's own table of them, ordered by their ids, and those of one id by a hash of all that is said."""
        frame, columns = self.engine.frame(self.table), [_column(name) for name in self.table.columns]
        own = _ORDER
        while own in map(str.lower, self.table.columns):
            own += "_"
        # the hash leaves out what is missing, so it is told what is
        hashed = frame.withColumn(own, sql.xxhash64(*columns, *(column.isNull() for column in columns)))
        return hashed.orderBy(_column(self.columns.customer_id), own).drop(own)


class AnsweringOnSpark:
    """Answers by the executors of Spark, each with the version in its own ONNX Runtime, over batches of Arrow.

    The same customers give the same answers in the same order, however they are spread. Executors keep their answers
    until these are taken, and answer again for those that are lost with one of them. A run that was killed writes on
    where it was, but all are answered for again.

    Args:
        customers: whom to answer for.
        version: by which.
        options: how.

    Raises:
        DataError: there is a column that can be no feature.
    """

    def __init__(self, customers: SparkCustomers, version: VersionContent, options: AnswerOptions) -> None:
        self._customers = customers
        self._task = AnswerTask(customers.engine.broadcast(version), customers.columns, options, customers.name)
        with explain_failure(customers.name):
            self._ordered = customers.order()
            self._task.answer(pa.RecordBatch.from_pylist([], schema=to_arrow_schema(self._ordered.schema)))

    @cached_property
    def fingerprint(self) -> str:
        """Names the columns and what is in them, wherever they are kept."""
        with explain_failure(self._customers.name):
            content = hash_content(self._customers.engine, self._customers.table)
        return hashlib.sha256(repr((self._customers.name, self._customers.columns, content)).encode()).hexdigest()

    def ask(self, rows: int, after: Position | None) -> Iterator[Callable[[], Answered]]:
        """Have everyone answered for, and then give the answers in batches of so many rows, in order.

        Raises:
            DataError: an executor cannot answer; the sentence says why.
        """
        first = after[1] if after else 0
        with explain_failure(self._customers.name), self._answer_all(rows) as packed:
            total = packed.agg(sql.sum("rows")).first()[0] or 0
            pieces = (piece for row in packed.toLocalIterator(True) for piece in read_packed(bytes(row.answers)))
            for piece in cut(pieces, rows, first):
                yield partial(self._take, piece, first, total)
                first += len(piece)

    @contextmanager
    def _answer_all(self, rows: int) -> Iterator[Any]:
        """Let the executors keep a row for each batch that they answer for, in the order of the customers."""
        self._customers.engine.set("spark.sql.execution.arrow.maxRecordsPerBatch", rows)
        packed = self._ordered.mapInArrow(self._task.pack, PACKED_SCHEMA).persist()
        try:
            yield packed
        finally:
            packed.unpersist()

    def _take(self, piece: pa.RecordBatch, first: int, total: int) -> Answered:
        table, rejects = part_rejects(pa.Table.from_batches([piece]), first + 1)
        counts = Counter({name: _count(pc.greater(pc.list_value_length(table[name]), 0)) for name in QUALITY})
        counts.update(scored=len(table), rejected=len(rejects), predicted=_count(table["churn_predicted"]))
        end = first + len(piece)
        return Answered(Answers(table, rejects, counts), self._customers.name, (0, end), end / total)


@contextmanager
def explain_failure(name: str) -> Iterator[None]:
    """Say in a sentence why executors failed, where it is known.

    Raises:
        DataError: in place of an error that has to do with the table or with how the workers are set up.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:  # of which a failed job may end in either
        text = str(error)
        if own := _OWN_ERROR.search(text):
            raise DataError(own[1]) from error
        if module := _MISSING_MODULE.search(text):
            raise DataError(
                f"A worker of Spark has no Python package {module[1].partition('.')[0]!r}: install "
                f"'churn-mlops[ml,spark]' there, and name that Python in spark.config as spark.pyspark.python."
            ) from error
        raise DataError(f"Spark cannot answer for {name}: {' '.join(text.split())[:300]}") from error


def _column(name: str) -> Any:
    return sql.col("`" + name.replace("`", "``") + "`")


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
