"""Opens DuckDB or Spark through Ibis, and holds everything that the two do differently."""

from __future__ import annotations

import itertools
import math
import os
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import pyarrow as pa

from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import DataError, MissingEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import ibis.expr.types as ir

    from churn_mlops.config.settings import EngineSettings, SparkSettings

# A text without a day is no time: Spark would take "2024" for one, DuckDB would not.
_HAS_DAY: Final = r"^\d{4}-\d{1,2}-\d{1,2}"
_HAS_ZONE: Final = r"\d{1,2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


BATCH_ROWS: Final = 100_000
"""Rows of a batch that leaves the engine."""

_MALFORMED: Final = "_malformed_line"

_SORTED_AT_ONCE: Final = 1 << 26
"""Hashes that are sorted in memory at once, 8 bytes each."""


@dataclass(frozen=True)
class CsvContent:
    """What was read of CSV files.

    Attributes:
        rows: as text.
        malformed: line (text) and number (of it in its file; missing where Spark read it) of each line that is no row,
            as it has too many fields or too few, or a quote gone astray.
    """

    rows: ir.Table
    malformed: ir.Table


class Engine(ABC):
    """What Ibis does not make the same on DuckDB and on Spark.

    Both run in UTC. Times become whole microseconds since 1970 at once, so that no time zone, resolution or kind of
    timestamp is met again; divisions by zero are missing (`divide`) instead of infinite or an error; nothing is
    ordered by a column that may be missing; numbers are 64-bit floats or whole, never decimals.

    Attributes:
        connection: the Ibis backend.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._numbers = itertools.count()
        self._kept: list[ir.Table] = []  # Spark forgets what nothing refers to

    @abstractmethod
    def table_names(self) -> list[str]:
        """List the tables that the engine has."""

    @abstractmethod
    def read_parquet(self, path: str, is_folder: bool) -> ir.Table:
        """Open Parquet files: one, a pattern, or a folder whose sub-folders may be partitions (key=value)."""

    @abstractmethod
    def read_csv(self, path: str, delimiter: str) -> CsvContent:
        """Read CSV files with a header, once; every column is text."""

    @abstractmethod
    def read_json(self, path: str) -> ir.Table:
        """Open files with one JSON object a line."""

    @abstractmethod
    def keep(self, table: ir.Table) -> ir.Table:
        """Compute a table once, for all that is asked of it later."""

    @abstractmethod
    def batches(self, table: ir.Table) -> pa.RecordBatchReader:
        """Compute a table and give it batch by batch."""

    def count(self, table: ir.Table) -> int:
        """Count the rows of a table."""
        (found,) = self.batches(table.aggregate(rows=table.count())).read_all()["rows"].to_pylist()
        return int(found)

    def find_repeated(self, table: ir.Table, rows: int) -> ir.Table | None:
        """Find the values that occur more than once.

        Args:
            table: of one column, whole numbers without missing ones.
            rows: about how many it has.

        Returns:
            A table of the same column, each value once; None where there are none.
        """
        (name,) = table.columns
        counted = table.group_by(name).agg(occurrences=table.count())
        repeated = self.keep(counted.filter(counted.occurrences > 1).select(name))
        return repeated if self.count(repeated) else None

    def divide_whole(self, number: ir.IntegerValue, by: int) -> ir.IntegerValue:
        """Divide a whole number that is not negative by another, leaving out the remainder."""
        return number // by

    @abstractmethod
    def hash_rows(self, columns: Sequence[ir.Value]) -> ir.IntegerValue:
        """Hash values into whole numbers: equal ones have equal hashes, which differ from engine to engine."""

    @abstractmethod
    def _instant(self, time: ir.Value, zone: str | None) -> ir.IntegerValue:
        """Count the microseconds of a timestamp that is in a zone, or knows its own (None)."""

    def read_time(self, column: ir.Value, zone: str) -> ir.IntegerValue:
        """Read dates, timestamps and ISO 8601 texts as microseconds since 1970 in UTC, int64; missing where neither.

        Args:
            column: of any type; numbers are no times.
            zone: of times that name none.
        """
        kind = column.type()
        if isinstance(kind, dt.Timestamp) and kind.timezone is not None:
            return self._instant(column, None)
        if isinstance(kind, dt.Timestamp | dt.Date):
            return self._instant(column.cast(dt.timestamp), zone)
        if not isinstance(kind, dt.String):
            return ibis.null(dt.int64)
        text = column.strip()
        text = ibis.ifelse(text.re_search(_HAS_DAY), text, ibis.null(dt.string))
        naive = self._instant(text.try_cast(dt.timestamp), zone)
        aware = self._instant(text.try_cast(dt.Timestamp("UTC")), None)
        return ibis.ifelse(text.re_search(_HAS_ZONE), aware, naive)


class DuckDb(Engine):
    """DuckDB inside this process."""

    def table_names(self) -> list[str]:
        """List the tables of engine.database."""
        # Ibis 12 lists them by fetch_arrow_table, which DuckDB 2 no longer has
        found = self.connection.con.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall()
        return [name for (name,) in found]

    def read_parquet(self, path: str, is_folder: bool) -> ir.Table:
        """Open Parquet files."""
        return self.connection.read_parquet(f"{path}/**/*.parquet" if is_folder else path, hive_partitioning=is_folder)

    def read_csv(self, path: str, delimiter: str) -> CsvContent:
        """Read CSV files."""
        number = next(self._numbers)
        names = {"rejects_table": f"malformed_{number}", "rejects_scan": f"malformed_of_{number}"}
        # without a stated quote, one that goes astray would make all others a part of their texts
        options = {"all_varchar": True, "header": True, "delim": delimiter, "quote": '"', "escape": '"'}
        rows = self.keep(self.connection.read_csv(path, **options, store_rejects=True, **names))
        errors = self.connection.table(names["rejects_table"], database=("temp", "main"))
        # a line may have several errors
        lines = errors.group_by("file_id", number=errors.line).agg(line=errors.csv_line.min())
        return CsvContent(rows, lines.select("line", number=lines.number.cast(dt.int64)))

    def read_json(self, path: str) -> ir.Table:
        """Open JSON lines."""
        return self.connection.read_json(path, format="newline_delimited")

    def keep(self, table: ir.Table) -> ir.Table:
        """Compute a table once, into a temporary one."""
        return self.connection.create_table(f"kept_{next(self._numbers)}", table, temp=True)

    def batches(self, table: ir.Table) -> pa.RecordBatchReader:
        """Compute a table and give it batch by batch."""
        # Ibis 12 asks for fetch_record_batch, which DuckDB 2 no longer has
        return self.connection.con.sql(ibis.to_sql(table, dialect="duckdb")).to_arrow_reader(BATCH_ROWS)

    def find_repeated(self, table: ir.Table, rows: int) -> ir.Table | None:
        """Find the values that occur more than once, by sorting: grouping as many as there are rows takes far longer.

        A table too large to be sorted at once is read several times, a share of its values each.
        """
        (name,) = table.columns
        shares = math.ceil(rows / _SORTED_AT_ONCE) or 1
        parts = [table.filter(table[name] % shares == place) for place in range(shares)] if shares > 1 else [table]
        repeated = np.concatenate([_find_repeated(self.batches(part)) for part in parts])
        return self.keep(ibis.memtable(pa.table({name: repeated}))) if len(repeated) else None

    def divide_whole(self, number: ir.IntegerValue, by: int) -> ir.IntegerValue:
        """Divide without the detour over floats that Ibis takes."""
        return _call("divide", dt.int64, number, ibis.literal(by, dt.int64))

    def hash_rows(self, columns: Sequence[ir.Value]) -> ir.IntegerValue:
        """Hash values into 64 bits."""
        return _call("hash", dt.uint64, ibis.struct({f"c{place}": column for place, column in enumerate(columns)}))

    def _instant(self, time: ir.Value, zone: str | None) -> ir.IntegerValue:
        if zone not in (None, "UTC"):
            time = _call("timezone", dt.Timestamp("UTC"), ibis.literal(zone), time)
        return _call("epoch_us", dt.int64, time)


class Spark(Engine):
    """A Spark session, here or on a cluster."""

    def table_names(self) -> list[str]:
        """List the tables of the catalogue's present database."""
        return list(self.connection.list_tables())

    def read_parquet(self, path: str, is_folder: bool) -> ir.Table:
        """Open Parquet files."""
        return self.connection.read_parquet(path)

    def read_csv(self, path: str, delimiter: str) -> CsvContent:
        """Read CSV files."""
        # Spark would expect neither that a quote within quotes is written twice, nor that there are line breaks within
        # them, for which it does not split files
        options = {"header": True, "sep": delimiter, "escape": '"', "multiLine": True}
        reader = self.connection._session.read.options(**options, columnNameOfCorruptRecord=_MALFORMED)
        names = [*reader.csv(path).columns, _MALFORMED]
        quoted = ", ".join("`{}` string".format(name.replace("`", "``")) for name in names)
        name = f"csv_{next(self._numbers)}"
        reader.schema(quoted).csv(path).createOrReplaceTempView(name)
        table = self.keep(self.connection.table(name))
        line = table[_MALFORMED]
        malformed = table.filter(line.notnull()).select(line=_MALFORMED, number=ibis.null(dt.int64))
        return CsvContent(table.filter(line.isnull()).drop(_MALFORMED), malformed)

    def read_json(self, path: str) -> ir.Table:
        """Open JSON lines."""
        return self.connection.read_json(path)

    def keep(self, table: ir.Table) -> ir.Table:
        """Compute a table once, into memory and where that is full onto disks."""
        kept = table.cache()
        self._kept.append(kept)
        return kept

    def batches(self, table: ir.Table) -> pa.RecordBatchReader:
        """Compute a table and give it batch by batch; all of it comes into this process's memory first."""
        return table.to_pyarrow_batches(chunk_size=BATCH_ROWS)

    def frame(self, table: ir.Table) -> Any:
        """Give a table as Spark's own DataFrame, for what Ibis has no words for."""
        return self.connection._session.sql(ibis.to_sql(table, dialect="pyspark"))

    def broadcast(self, value: object) -> Any:
        """Send a value to all executors, once to each."""
        return self.connection._session.sparkContext.broadcast(value)

    def set(self, name: str, value: object) -> None:
        """Change a setting of the session."""
        self.connection._session.conf.set(name, str(value))

    def hash_rows(self, columns: Sequence[ir.Value]) -> ir.IntegerValue:
        """Hash values into 64 bits; the hash leaves out what is missing, so it is told which values are."""
        values = {f"c{place}": column for place, column in enumerate(columns)}
        missing = {f"is_missing_{place}": column.isnull() for place, column in enumerate(columns)}
        return _call("xxhash64", dt.int64, ibis.struct(values | missing))

    def _instant(self, time: ir.Value, zone: str | None) -> ir.IntegerValue:
        time = time.cast(dt.Timestamp("UTC"))  # unix_micros takes no timestamp without a zone
        if zone not in (None, "UTC"):
            time = _call("to_utc_timestamp", dt.Timestamp("UTC"), time, ibis.literal(zone))
        return _call("unix_micros", dt.int64, time)


@contextmanager
def open_engine(settings: EngineSettings, spark: SparkSettings) -> Iterator[Engine]:
    """Open the engine that the configuration names, and close it again.

    Raises:
        MissingEngine: it is not installed.
        DataError: it does not start, or refuses its settings.
    """
    with _open_duckdb(settings) if settings.name == "duckdb" else open_spark(spark) as engine:
        yield engine


@contextmanager
def _open_duckdb(settings: EngineSettings) -> Iterator[Engine]:
    import duckdb

    parent = settings.temp_directory
    if parent is not None and not parent.is_dir():
        raise DataError(f"engine.temp_directory is {str(parent)!r}, which is no folder that is there.")
    with tempfile.TemporaryDirectory(prefix="churn-mlops-", dir=parent) as folder:
        try:
            connection = ibis.duckdb.connect(
                database=settings.database or ":memory:",
                read_only=settings.database is not None,
                memory_limit=settings.memory_limit,
                threads=settings.threads or available_cpus(),
                temp_directory=folder,
                preserve_insertion_order=False,
            )
        except duckdb.Error as error:
            raise DataError(f"DuckDB cannot be opened: {' '.join(str(error).split())}") from error
        try:
            connection.raw_sql("SET TimeZone = 'UTC'")
            yield DuckDb(connection)
        finally:
            connection.disconnect()


@contextmanager
def open_spark(settings: SparkSettings) -> Iterator[Spark]:
    """Open a session of Spark, and stop it again.

    Raises:
        MissingEngine: it is not installed.
        DataError: it does not start, or refuses its settings.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise MissingEngine("pyspark", "pip install 'churn-mlops[spark]'") from error
    builder = SparkSession.builder.master(settings.master).appName("churn-mlops")
    if _is_local(settings):
        # nobody else has to reach it, so this machine's name need not be one that can be looked up
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for key, value in name_options(settings).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        raise DataError(
            f"Spark does not start with spark.master {settings.master!r} ({' '.join(str(error).split())[:300]}); it "
            f"needs Java 17 or later on this machine."
        ) from error
    if python := _choose_python(settings):
        session.sparkContext.pythonExec = python
    try:
        with warnings.catch_warnings():
            # nothing here goes through pandas on Spark
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            yield Spark(ibis.pyspark.connect(session))
    finally:
        session.stop()


def _choose_python(settings: SparkSettings) -> str | None:
    """Name the Python that executors run: the one that is configured, and on this machine this one; else Spark's."""
    configured = settings.config.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON")
    return configured or (sys.executable if _is_local(settings) else None)


def name_options(settings: SparkSettings) -> dict[str, str]:
    """Name Spark's own settings: those that are configured, and what they leave open here; times are always in UTC."""
    options = {"spark.ui.showConsoleProgress": "false"}  # whoever scores shows a bar of his own
    if _is_local(settings):
        # Spark's 200 are meant for a cluster: on two cores, a log of 100,000 events takes three times as long by them
        options["spark.sql.shuffle.partitions"] = str(_PARTITIONS_OF_A_CORE * available_cpus())
    return options | settings.config | {"spark.sql.session.timeZone": "UTC"}


_PARTITIONS_OF_A_CORE: Final = 4


def _is_local(settings: SparkSettings) -> bool:
    return settings.master.startswith("local")


# The engines have the bodies of these two, and Ibis ships no types.
@ibis.udf.scalar.builtin(signature=((dt.int64,), dt.int8))  # type: ignore[untyped-decorator]  # see above
def bit_count(bits: int) -> int:  # type: ignore[empty-body]  # see above
    """Count the bits that are set: as a number of 8 bits on DuckDB, which a sum of several may not fit."""


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]  # see above
def bit_or(bits: int) -> int:  # type: ignore[empty-body]  # see above
    """Set every bit that is set in any row."""


def bit(place: ir.IntegerValue) -> ir.IntegerValue:
    """Give a whole number of 64 bits of which one is set."""
    # written as a cast, as Spark takes a bare 1 for a number of 32 bits
    return ibis.literal(1, dt.int8).cast(dt.int64) << place


def divide(number: ir.NumericValue, by: ir.NumericValue) -> ir.FloatingValue:
    """Divide; missing where the divisor is 0 or either is missing."""
    return number.cast(dt.float64) / by.cast(dt.float64).nullif(0)


def locate(value: ir.IntegerValue, edges: Sequence[int]) -> ir.IntegerValue:
    """Say how many of some ascending edges are at or below a value: 0 below the first, len(edges) from the last on."""
    if not edges:
        return ibis.literal(0, dt.int32)

    def search(low: int, high: int) -> ir.IntegerValue:
        if low == high:
            return ibis.literal(low, dt.int32)
        middle = (low + high) // 2
        return ibis.ifelse(value < edges[middle], search(low, middle), search(middle + 1, high))

    return search(0, len(edges))


def _find_repeated(batches: pa.RecordBatchReader) -> np.ndarray[tuple[int], np.dtype[Any]]:
    """Sort the values of one column, and give those that occur more than once."""
    kind = batches.schema.types[0].to_pandas_dtype()
    parts = [batch.column(0).to_numpy(zero_copy_only=False) for batch in batches]
    values = np.concatenate(parts) if parts else np.empty(0, kind)
    parts.clear()
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])


def _call(name: str, returns: dt.DataType, *arguments: ir.Value) -> Any:
    """Call a function that the engine has and Ibis does not know."""
    signature = (tuple(argument.type() for argument in arguments), returns)
    one, two = (lambda first: None), (lambda first, second: None)
    function = one if len(arguments) == 1 else two
    function.__name__ = name
    return ibis.udf.scalar.builtin(function, name=name, signature=signature)(*arguments)
