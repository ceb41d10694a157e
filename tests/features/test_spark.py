"""Spark computes the same features and outcomes as DuckDB, from the same definitions."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from event_logs import at, build, check, event, log_settings, shop_settings, write_log
from hypothesis import given, settings
from hypothesis import strategies as st
from test_leaks import check_features_see_no_future, check_labels_see_no_past, logs

from churn_mlops.config.settings import EngineSettings, SparkSettings
from churn_mlops.data.events.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from churn_mlops.data.events.engine import Engine

pytest.importorskip("pyspark", reason="needs pyspark: pip install 'churn-mlops[spark]'")
if shutil.which("java") is None:
    pytest.skip("needs Java 17 on the path, which Spark runs on", allow_module_level=True)

# what Spark warns of is its own affair: pandas versions, sockets that it leaves open
pytestmark = pytest.mark.filterwarnings("ignore")

LOCAL = SparkSettings(master="local[2]", config={"spark.sql.shuffle.partitions": "2", "spark.ui.enabled": "false"})


@pytest.fixture(scope="module")
def spark_engine() -> Iterator[Engine]:
    """A real Spark session with two threads."""
    with open_engine(EngineSettings(name="pyspark"), LOCAL) as engine:
        yield engine


def assert_same(duckdb: pd.DataFrame, spark: pd.DataFrame) -> None:
    """Compare all columns: numbers to 1e-9, all else exactly."""
    assert list(duckdb.columns) == list(spark.columns)
    assert len(duckdb)
    for column in duckdb.columns:
        left, right = duckdb[column], spark[column]
        if pd.api.types.is_float_dtype(left):
            np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9, err_msg=column)
        else:
            assert left.astype(str).tolist() == right.astype(str).tolist(), column


def test_features_and_outcomes_of_a_real_log_are_the_same(
    duckdb_engine: Engine, spark_engine: Engine, real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Two snapshots of the online shop, with amounts and an attribute."""
    kind = "CASE WHEN InvoiceNo LIKE 'C%' THEN 'return' ELSE 'purchase' END"
    chosen = shop_settings(real_data("online_retail_ii.parquet"), kind, {})
    snapshots = (date(2011, 3, 1), date(2011, 9, 10))
    built = [build(engine, chosen, tmp_path / "rejects.csv", snapshots) for engine in (duckdb_engine, spark_engine)]
    assert_same(*built)


@settings(max_examples=2, deadline=None)
@given(logs, st.floats(0, 50))
def test_features_see_no_future(spark_engine: Engine, log: list[dict[str, Any]], shift: float) -> None:
    """As on DuckDB."""
    check_features_see_no_future(spark_engine, log, shift)


@settings(max_examples=2, deadline=None)
@given(logs, st.data())
def test_outcomes_see_no_past(spark_engine: Engine, log: list[dict[str, Any]], data: st.DataObject) -> None:
    """As on DuckDB."""
    check_labels_see_no_past(spark_engine, log, lambda: data.draw(st.floats(0, 20)))


TEXTS = (
    "customer_id,time,type,amount,known_time\n"
    "1,2024-05-30 23:30:00,login,,2024-05-30 23:30:00\n"  # the next day in UTC, west of it
    "1,2024-05-31T10:00:00+02:00,login,0.1,2024-05-31T10:00:00Z\n"
    "1,2024-05-31T10:00:00+02:00,login,0.1,2024-05-31T10:00:00Z\n"  # written twice
    "2,2024-05-20,ticket,1e3,2024-05-21\n"
    "2,2024,login,1,2024-05-21\n"
    "3,2024-05-29 12:00:00,purchase,many,2024-05-29 12:00:00\n"
    '"4 ""the fourth"", again",2024-05-30,login,,2024-05-30\n'
    '"5\nof two lines",2024-05-30,login,,2024-05-30\n'
    "6,2024-05-30,login\n"  # two fields too few, and one too many
    "7,2024-05-30,login,,2024-05-30,more\n"
    "1,2024-07-30,login,,2024-07-30\n"
)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_texts_and_time_zones_are_read_the_same(
    duckdb_engine: Engine, spark_engine: Engine, tmp_path: Path, zone: str
) -> None:
    """Times with and without a zone, numbers as texts, and what is neither; quotes and line breaks within quotes."""
    path = tmp_path / "log.csv"
    path.write_text(TEXTS)
    chosen = log_settings(path, events={"time_zone": zone})
    built = [
        build(engine, chosen, tmp_path / f"{name}.csv") for name, engine in (("d", duckdb_engine), ("s", spark_engine))
    ]
    assert_same(*built)
    assert {'4 "the fourth", again', "5\nof two lines"} <= set(built[0]["customer_id"])
    rejected = [sorted((tmp_path / f"{name}.csv").read_text().splitlines()) for name in "ds"]
    assert rejected[0] == rejected[1]
    assert sum(line.startswith('"the line is no row of the table"') for line in rejected[0]) == 2
    assert len(rejected[0]) > 5


def test_late_events_and_attributes_are_the_same(duckdb_engine: Engine, spark_engine: Engine, tmp_path: Path) -> None:
    """With attributes of events, expressions, division by zero and missing amounts."""
    log = [
        event("a", -3, "payment", 0.1) | {"plan": "basic"},
        event("a", -3, "payment_failed", None) | {"plan": "plus"},
        event("a", -2, "payment", 0.2, known=1) | {"plan": "late"},
        event("b", -1, "ticket", None) | {"plan": None},
        event("b", 40, "ticket", None) | {"plan": None},
    ]
    chosen = log_settings(
        write_log(tmp_path / "log.parquet", log),
        events={"attributes": ["plan"]},
        features={"expressions": {"per_event": "amount_30d / events_7d", "none": "1 / (events - events)"}},
    )
    built = [build(engine, chosen, tmp_path / "rejects.csv") for engine in (duckdb_engine, spark_engine)]
    assert_same(*built)
    assert built[0].loc[0, "plan"] == "plus"


def test_what_is_missing_where_tells_rows_apart(duckdb_engine: Engine, spark_engine: Engine, tmp_path: Path) -> None:
    """A value and none, or none and the value: two events, whose rows have hashes of their own."""
    row = {"customer_id": "a", "time": at(-1), "type": "login"}
    log = [row | {"first": "x", "second": None}, row | {"first": None, "second": "x"}]
    path = write_log(tmp_path / "log.parquet", log)
    chosen = log_settings(path, events={"known_time": None, "amount": None, "attributes": ["first", "second"]})
    for engine in (duckdb_engine, spark_engine):
        checked = check(engine, chosen, tmp_path / "rejects.csv")
        assert (checked.rows_read, checked.rejected, engine.count(checked.events)) == (2, {}, 2)
        raw = engine.read_parquet(str(path), is_folder=False)
        hashed = raw.select(hashed=engine.hash_rows([raw[name] for name in ("first", "second")]))
        assert len(set(engine.batches(hashed).read_all()["hashed"].to_pylist())) == 2
