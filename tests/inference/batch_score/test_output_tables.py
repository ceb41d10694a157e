"""A table of a DuckDB file: whatever its name is written like, nothing is replaced that is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from churn_mlops.config.settings import Settings
from churn_mlops.errors import OutputRefused
from churn_mlops.inference.batch_score import output_tables
from churn_mlops.inference.batch_score.destination import choose_destination
from churn_mlops.inference.batch_score.options import Options
from churn_mlops.inference.batch_score.output_tables import DuckDbTable

if TYPE_CHECKING:
    from pathlib import Path

MADE = """
CREATE TABLE "Other" AS SELECT 1 AS one;
CREATE VIEW "Seen" AS SELECT 1 AS one;
CREATE SCHEMA sales;
CREATE TABLE sales."Other" AS SELECT 1 AS one;
CREATE TABLE "Log" AS SELECT 1 AS one;
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database, `warehouse`, with tables and a view of somebody else."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(MADE)
    return path


def settings_of(database: Path, **engine: Any) -> Settings:
    """Give settings of a log that is a table of the database."""
    return Settings.model_validate(
        {"data": {"events": {"table": "Log"}}, "engine": {"database": str(database)} | engine}
    )


def ask(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Two answers."""
    pa_parquet.write_table(pa.table({"customer_id": ["C1", "C0"]}), tmp_path / "answers.parquet")
    return tmp_path / "answers.parquet"


@pytest.mark.parametrize(
    ("name", "overwrite", "said"),
    [
        ("other", False, "'other' is a table that churn-mlops score did not write"),
        ("OTHER", False, "'OTHER' is a table that"),
        ("main.other", False, "'main.other' is a table that"),
        ("warehouse.other", False, "'warehouse.other' is a table that"),
        ("Warehouse.Main.Other", False, "'Warehouse.Main.Other' is a table that"),
        ("SALES.other", False, "'SALES.other' is a table that"),
        ("warehouse.sales.other", False, "'warehouse.sales.other' is a table that"),
        ("Seen", True, "'Seen' is a view"),
        ("warehouse.SEEN", True, "'warehouse.SEEN' is a view"),
        ("nowhere.scores", False, "has no schema 'nowhere'"),
        ("warehouse.nowhere.scores", True, r"has no schema 'nowhere'"),
        ("nowhere.main.scores", True, r"has no schema 'nowhere\.main'"),
        ("log", True, r"'log' is what data\.events\.table names"),
        ("warehouse.LOG", True, r"'warehouse.LOG' is what data\.events\.table names"),
    ],
)
def test_what_may_not_be_written_is_refused_first(
    database: Path, answers: Path, name: str, overwrite: bool, said: str
) -> None:
    """By the check, and again before anything is replaced: all tables are as they were."""
    before = database.read_bytes()
    table = DuckDbTable(name, overwrite, settings_of(database))
    with pytest.raises(OutputRefused, match=said):
        table.check()
    with pytest.raises(OutputRefused, match=said):
        table.replace(answers)
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("scores", "main.scores"),
        ("warehouse.scores", "main.scores"),
        ("warehouse.main.scores", "main.scores"),
        ("Sales.Scores", "sales.scores"),
        ("warehouse.sales.scores", "sales.scores"),
        ("sales.log", "sales.log"),
        ("größe", "main.größe"),
    ],
)
def test_a_table_is_written_where_its_name_says(database: Path, answers: Path, name: str, written: str) -> None:
    """And replaced by a later result, however its name is written then."""
    table = DuckDbTable(name, False, settings_of(database))
    table.check()
    table.replace(answers)
    DuckDbTable(name.upper(), False, settings_of(database)).replace(answers) if name.isascii() else table.replace(
        answers
    )
    assert ask(database, f"FROM {written}") == [("C1",), ("C0",)]
    assert len(ask(database, "FROM duckdb_tables()")) == 4


@pytest.mark.parametrize(("configured", "threads"), [({"threads": 2}, 2), ({}, 3)])
def test_a_table_is_written_by_as_many_threads_as_there_may_be(
    database: Path, monkeypatch: pytest.MonkeyPatch, configured: dict[str, int], threads: int
) -> None:
    """Those of engine.threads, or as many as this process may have."""
    monkeypatch.setattr(output_tables, "available_cpus", lambda: 3)
    table = DuckDbTable("scores", False, settings_of(database, **configured))
    with table._connect() as connection:
        assert connection.execute("SELECT current_setting('threads')").fetchone() == (threads,)


def test_two_databases_of_a_folder_do_not_share_a_file(tmp_path: Path) -> None:
    """That the answers are gathered in."""
    told: dict[str, Any] = dict.fromkeys(Options.__dataclass_fields__)
    options = Options(**(told | {"output_table": "scores", "overwrite": False}))
    places = [choose_destination(options, settings_of(tmp_path / name)) for name in ("a.duckdb", "b.duckdb")]
    assert places[0].file != places[1].file
    assert {place.file.parent for place in places} == {tmp_path}
