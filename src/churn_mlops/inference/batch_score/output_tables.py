"""Makes a table of answers in a database, in place of an earlier one, and of nothing else unless told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.data.events.engine import open_engine
from churn_mlops.errors import OutputRefused

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config import Settings
    from churn_mlops.config.settings import EngineSettings

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


def _refuse_taken(name: str, what: str) -> OutputRefused:
    return OutputRefused(
        f"{name!r} is {what} that churn-mlops score did not write: give another --output-table, or --overwrite to "
        f"replace it."
    )


@dataclass(frozen=True)
class DuckDbTable:
    """A table of a DuckDB file, replaced in one transaction."""

    name: str
    overwrite: bool
    settings: EngineSettings

    def check(self) -> None:
        """Refuse a name that is taken, a view's, or a database that cannot be written; see `OutputTable`."""
        with self._connect() as connection:
            self._check(connection)

    def replace(self, file: Path) -> None:
        """Make the table of a Parquet file, in its order."""
        quoted = ".".join(f'"{part}"' for part in self.name.split("."))
        try:
            with self._connect() as connection:
                connection.begin()
                self._check(connection)
                connection.execute(f"DROP TABLE IF EXISTS {quoted}")
                connection.execute(f"CREATE TABLE {quoted} AS FROM read_parquet(?)", [str(file)])
                connection.execute(f"COMMENT ON TABLE {quoted} IS '{MARK}'")
                connection.commit()
        except duckdb.Error as error:
            raise self._explain(error) from error

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(str(self.settings.database), config={"memory_limit": self.settings.memory_limit})
        except duckdb.Error as error:
            raise self._explain(error) from error

    def _check(self, connection: duckdb.DuckDBPyConnection) -> None:
        *schema, name = self.name.split(".")
        wanted = [name, schema[-1] if schema else "main"]
        asked = "FROM duckdb_{}s() SELECT comment WHERE {}_name = ? AND schema_name = ? AND NOT internal"
        if connection.execute(asked.format("view", "view"), wanted).fetchone():
            raise OutputRefused(f"{self.name!r} is a view of {self.settings.database}; give another --output-table.")
        found = connection.execute(asked.format("table", "table"), wanted).fetchone()
        if found is not None and found[0] != MARK and not self.overwrite:
            raise _refuse_taken(self.name, "a table")

    def _explain(self, error: duckdb.Error) -> OutputRefused:
        reason = " ".join(str(error).split())
        return OutputRefused(f"The table {self.name!r} of {self.settings.database} cannot be written: {reason}")


@dataclass(frozen=True)
class SparkTable:
    """A table of Spark's catalogue, written beside its place and renamed."""

    name: str
    overwrite: bool
    settings: Settings

    def check(self) -> None:
        """Refuse a name that is taken, or a catalogue that ends with this process; see `OutputTable`."""
        with open_engine(self.settings.engine, self.settings.spark) as engine:
            self._check(engine.connection._session)

    def replace(self, file: Path) -> None:
        """Make the table of a Parquet file; the earlier one is dropped right before the new one takes its name."""
        unfinished = f"{self.name}__unfinished"
        with open_engine(self.settings.engine, self.settings.spark) as engine, pa_parquet.ParquetFile(file) as answers:
            session = engine.connection._session
            self._check(session)
            session.sql(f"DROP TABLE IF EXISTS {unfinished}")
            for batch in answers.iter_batches(_ROWS):
                rows = session.createDataFrame(pa.Table.from_batches([batch]))
                rows.write.mode("append").saveAsTable(unfinished)
            session.sql(f"ALTER TABLE {unfinished} SET TBLPROPERTIES ('{_PROPERTY}' = '{MARK}')")
            session.sql(f"DROP TABLE IF EXISTS {self.name}")
            session.sql(f"ALTER TABLE {unfinished} RENAME TO {self.name}")

    def _check(self, session: Any) -> None:
        has_catalogue = self.name.count(".") > 1
        if not has_catalogue and session.conf.get("spark.sql.catalogImplementation") == "in-memory":
            raise OutputRefused(
                "Spark's catalogue is in memory and ends with this process, so a table in it would be lost: set "
                "spark.config {spark.sql.catalogImplementation: hive}, or name a table of another catalogue."
            )
        if self.overwrite or not session.catalog.tableExists(self.name):
            return
        properties = {row["key"]: row["value"] for row in session.sql(f"SHOW TBLPROPERTIES {self.name}").collect()}
        if properties.get(_PROPERTY) != MARK:
            raise _refuse_taken(self.name, "a table")
