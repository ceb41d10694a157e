"""Has customers answered for by the executors of Spark, and takes their answers batch by batch, in order."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import functions as sql
from pyspark.sql.pandas.types import to_arrow_schema

from churn_mlops.errors import DataError, MissingColumn
from churn_mlops.inference.batch_score.answering import Answered
from churn_mlops.inference.batch_score.answers import QUALITY, Answers
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.spark_task import PACKED_SCHEMA, AnswerTask, part_rejects, read_packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import ibis.expr.types as ir

    from churn_mlops.data.events.engine import Spark
    from churn_mlops.inference.batch_score.source import Position
    from churn_mlops.inference.batch_score.spark_task import AnswerOptions, VersionContent

_OWN_ERROR: Final = re.compile(r"^churn_mlops\.errors\.\w+: (.+)$", re.MULTILINE)
_MISSING_MODULE: Final = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
_ORDER: Final = "_order"


class AnsweringOnSpark:
    """Answers by the executors of Spark, each with the version in its own ONNX Runtime, over batches of Arrow.

    Customers are ordered by their ids, and those of one id by a hash of all that is said of them: the same table gives
    the same answers in the same order, however it is spread. The executors keep their answers until they are taken, and
    answer again for those that are lost with one of them. What was answered for is not kept when this process ends, so
    that a run never goes on where another one was.

    Args:
        engine: the session.
        table: the customers: features, id, and whatever else `options` names.
        name: of the table, for people.
        features: the columns that there have to be.
        version: by which they are answered for.
        options: how.

    Raises:
        DataError: the table lacks a column, or has one that can be no feature.
    """

    def __init__(
        self,
        engine: Spark,
        table: ir.Table,
        name: str,
        features: Sequence[str],
        version: VersionContent,
        options: AnswerOptions,
    ) -> None:
        self._engine, self._name = engine, name
        columns = options.columns
        named = filter(None, (columns.customer_id, *features, columns.customer_value, columns.snapshot_date))
        self._columns = list(dict.fromkeys(named))
        for column in self._columns:
            if column not in table.columns:
                names_it = "the model" if column in features else "an option or the configuration"
                raise MissingColumn(f"{name}: {names_it}", column, table.columns)
        self._customers = engine.frame(table.select(self._columns))
        self._task = AnswerTask(engine.broadcast(version), options, name)
        self.fingerprint = uuid.uuid4().hex
        self._task.answer(pa.RecordBatch.from_pylist([], schema=to_arrow_schema(self._customers.schema)))

    def ask(self, rows: int, after: Position | None) -> Iterator[Callable[[], Answered]]:
        """Have everyone answered for, and then give the answers in batches of so many rows, in order.

        Raises:
            DataError: an executor cannot answer; the sentence says why.
        """
        first = after[1] if after else 0
        with explain_failure(self._name), self._answer_all(rows) as packed:
            total = packed.agg(sql.sum("rows")).first()[0] or 0
            pieces = (piece for row in packed.toLocalIterator(True) for piece in read_packed(bytes(row.answers)))
            for piece in cut(pieces, rows, first):
                yield partial(self._take, piece, first, total)
                first += len(piece)

    @contextmanager
    def _answer_all(self, rows: int) -> Iterator[Any]:
        """Let the executors keep a row for each batch that they answer for, in the order of the customers."""
        self._engine.set("spark.sql.execution.arrow.maxRecordsPerBatch", rows)
        hashed = self._customers.withColumn(_ORDER, sql.xxhash64(*map(_quote, self._columns)))
        ordered = hashed.orderBy(_quote(self._task.options.columns.customer_id), _ORDER).drop(_ORDER)
        packed = ordered.mapInArrow(self._task.pack, PACKED_SCHEMA).persist()
        try:
            yield packed
        finally:
            packed.unpersist()

    def _take(self, piece: pa.RecordBatch, first: int, total: int) -> Answered:
        table, rejects = part_rejects(pa.Table.from_batches([piece]), first + 1)
        counts = Counter({name: _count(pc.greater(pc.list_value_length(table[name]), 0)) for name in QUALITY})
        counts.update(scored=len(table), rejected=len(rejects), predicted=_count(table["churn_predicted"]))
        end = first + len(piece)
        return Answered(Answers(table, rejects, counts), self._name, (0, end), end / total)


@contextmanager
def explain_failure(name: str) -> Iterator[None]:
    """Say in a sentence why executors failed, where it is known.

    Raises:
        DataError: in place of an error that has to do with the table or with how the workers are set up.
    """
    try:
        yield
    except PySparkException as error:
        text = str(error)
        if own := _OWN_ERROR.search(text):
            raise DataError(own[1]) from error
        if module := _MISSING_MODULE.search(text):
            raise DataError(
                f"A worker of Spark has no Python package {module[1].partition('.')[0]!r}: install "
                f"'churn-mlops[ml,spark]' there, and name that Python in spark.config as spark.pyspark.python."
            ) from error
        raise DataError(f"Spark cannot answer for {name}: {' '.join(text.split())[:300]}") from error


def _quote(column: str) -> Any:
    return sql.col("`" + column.replace("`", "``") + "`")


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
