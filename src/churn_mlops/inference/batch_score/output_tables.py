"""Makes a table of answers in a database, in place of an earlier one, and of nothing else unless told to."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.cpu_quota import available_cpus
from churn_mlops.data.events.engine import open_engine
from churn_mlops.errors import OutputRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from churn_mlops.config import Settings

MARK: Final = "written by churn-mlops score"
"""What a table of answers says of itself: in DuckDB as its comment, in Spark as a property."""

_PROPERTY: Final = "churn-mlops"
_ROWS: Final = 1 << 18


class OutputTable(Protocol):
    """A table to write."""

    def check(self) -> None:
        """Refuse before any work is done.

        Raises:
            OutputRefused: the name is in use by something else than an earlier result, or the database refuses.
        """

    def replace(self, file: Path) -> None:
        """Make the table of a Parquet file; until it is complete, the earlier one stays.

        Raises:
            OutputRefused: as `check` says.
        """


def _refuse_taken(name: str) -> OutputRefused:
    return OutputRefused(
        f"{name!r} is a table that churn-mlops score did not write: give another --output-table, or --overwrite to "
        f"replace it."
    )


def _refuse_view(name: str, where: str) -> OutputRefused:
    return OutputRefused(f"{name!r} is a view of {where}; give another --output-table.")


def _list_sources(settings: Settings) -> dict[str, str]:
    """Name the tables of the engine that the configuration reads, by the keys that say so."""
    data = settings.data
    read = {"events": data.events, "customers": data.customers, "cancellations": data.cancellations}
    return {f"data.{key}.table": source.table for key, source in read.items() if source and source.table}


def _refuse_source(name: str, key: str) -> OutputRefused:
    return OutputRefused(f"{name!r} is what {key} names, which is read and not written: give another --output-table.")


@dataclass(frozen=True)
class DuckDbTable:
    """A table of a DuckDB file, replaced in one transaction.

    Attributes:
        name: one to three parts; the first of two is a schema, or the database itself.
        overwrite: whether a table that somebody else wrote may be replaced.
        settings: the configuration, with engine.database.
    """

    name: str
    overwrite: bool
    settings: Settings

    def check(self) -> None:
        """Refuse a name that is taken, a view's, or a database that cannot be written; see `OutputTable`."""
        with self._connect() as connection:
            self._check(connection)

    def replace(self, file: Path) -> None:
        """Make the table of a Parquet file, in its order."""
        with self._connect() as connection:
            connection.begin()
            quoted = ".".join(map(_quote, self._check(connection)))
            connection.execute(f"DROP TABLE IF EXISTS {quoted}")
            connection.execute(f"CREATE TABLE {quoted} AS FROM read_parquet(?)", [str(file)])
            connection.execute(f"COMMENT ON TABLE {quoted} IS '{MARK}'")
            connection.commit()

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        engine = self.settings.engine
        threads = engine.threads or available_cpus()
        try:
            with duckdb.connect(
                str(engine.database), config={"memory_limit": engine.memory_limit, "threads": threads}
            ) as connection:
                yield connection
        except duckdb.Error as error:
            reason = " ".join(str(error).split())
            raise OutputRefused(f"The table {self.name!r} of {engine.database} cannot be written: {reason}") from error

    def _check(self, connection: duckdb.DuckDBPyConnection) -> tuple[str, str, str]:
        """Give the database, the schema and the name, once they are known to be free or an earlier result's."""
        place, file = self._find_place(connection), str(self.settings.engine.database)
        for key, table in _list_sources(self.settings).items():
            if _fold(*place) == _fold(place[0], "main", table):
                raise _refuse_source(self.name, key)
        asked = (
            "FROM duckdb_{0}s() SELECT comment "
            "WHERE lower(database_name) = ? AND lower(schema_name) = ? AND lower({0}_name) = ?"
        )
        if connection.execute(asked.format("view"), _fold(*place)).fetchone():
            raise _refuse_view(self.name, file)
        found = connection.execute(asked.format("table"), _fold(*place)).fetchone()
        if found is not None and found[0] != MARK and not self.overwrite:
            raise _refuse_taken(self.name)
        return place

    def _find_place(self, connection: duckdb.DuckDBPyConnection) -> tuple[str, str, str]:
        """Find out which part of the name is what.

        Raises:
            OutputRefused: there is no such schema in the database.
        """
        asked = "FROM duckdb_schemas() SELECT current_database(), schema_name WHERE database_name = current_database()"
        found = connection.execute(asked).fetchall()
        database, schemas = found[0][0], {schema.lower(): schema for _, schema in found}
        *before, name = self.name.split(".")
        if before and before[0].lower() == database.lower() and not (len(before) == 1 and before[0].lower() in schemas):
            before = before[1:]
        schema = ".".join(before) or "main"
        if schema.lower() not in schemas:
            raise OutputRefused(
                f"{self.settings.engine.database} has no schema {schema!r}: create it, or give another --output-table."
            )
        return database, schemas[schema.lower()], name


def _fold(*parts: str) -> list[str]:
    """Give names as they are compared: neither DuckDB nor Spark tells them apart by their case."""
    return [part.lower() for part in parts]


def _quote(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


@dataclass(frozen=True)
class SparkTable:
    """A table of Spark's catalogue, written beside its place and renamed.

    Attributes:
        name: one to three parts.
        overwrite: whether a table that somebody else wrote may be replaced.
        settings: the configuration.
    """

    name: str
    overwrite: bool
    settings: Settings

    def check(self) -> None:
        """Refuse a name that is taken, or a catalogue that ends with this process; see `OutputTable`."""
        with self._open() as session:
            self._check(session)

    def replace(self, file: Path) -> None:
        """Make the table of a Parquet file; the earlier one is dropped right before the new one takes its name."""
        *before, name = self.name.split(".")
        unfinished = _quote_parts([*before, f"{name}__unfinished"])
        with self._open() as session, pa_parquet.ParquetFile(file) as answers:
            self._check(session)
            session.sql(f"DROP TABLE IF EXISTS {unfinished}")
            for batch in answers.iter_batches(_ROWS):
                rows = session.createDataFrame(pa.Table.from_batches([batch]))
                rows.write.mode("append").saveAsTable(unfinished)
            session.sql(f"ALTER TABLE {unfinished} SET TBLPROPERTIES ('{_PROPERTY}' = '{MARK}')")
            session.sql(f"DROP TABLE IF EXISTS {self._quoted}")
            session.sql(f"ALTER TABLE {unfinished} RENAME TO {_quote_parts([name])}")  # in the same database

    @property
    def _quoted(self) -> str:
        return _quote_parts(self.name.split("."))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with open_engine(self.settings.engine, self.settings.spark) as engine:
            # imported here: there is Spark only where its engine was opened
            from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
            from pyspark.errors import PySparkException

            try:
                yield engine.connection._session
            except (PySparkException, Py4JError) as error:
                reason = " ".join(str(error).split())[:300]
                raise OutputRefused(f"Spark cannot write the table {self.name!r}: {reason}") from error

    def _check(self, session: Any) -> None:
        self._check_place(session)
        if not session.catalog.tableExists(self._quoted):
            return
        if session.catalog.getTable(self._quoted).tableType == "VIEW":
            raise _refuse_view(self.name, "Spark's catalogue")
        properties = {row["key"]: row["value"] for row in session.sql(f"SHOW TBLPROPERTIES {self._quoted}").collect()}
        if properties.get(_PROPERTY) != MARK and not self.overwrite:
            raise _refuse_taken(self.name)

    def _check_place(self, session: Any) -> None:
        *before, name = self.name.split(".")
        if len(before) < 2 and session.conf.get("spark.sql.catalogImplementation") == "in-memory":
            raise OutputRefused(
                "Spark's catalogue is in memory and ends with this process, so a table in it would be lost: set "
                "spark.config {spark.sql.catalogImplementation: hive}, or name a table of another catalogue."
            )
        if before and not session.catalog.databaseExists(_quote_parts(before)):
            raise OutputRefused(
                f"Spark has no database {'.'.join(before)!r}: create it, or give another --output-table."
            )
        here = (session.catalog.currentCatalog(), session.catalog.currentDatabase())
        for key, table in _list_sources(self.settings).items():
            if _fold(*here[: 2 - len(before)], *before, name) == _fold(*here, table):
                raise _refuse_source(self.name, key)


def _quote_parts(parts: list[str]) -> str:
    return ".".join(f"`{part}`" for part in parts)
