"""What DuckDB is asked to do in a way of its own gives what Ibis would, and it is opened where it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pytest

from churn_mlops.config.settings import EngineSettings, SparkSettings
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.data.events import engine as engine_module
from churn_mlops.data.events.engine import Engine, name_options, open_engine
from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def repeated(engine: Engine, values: Sequence[int], rows: int) -> list[int]:
    """Find repeated values with an engine."""
    table = engine.keep(ibis.memtable(pa.table({"value": pa.array(values, pa.uint64())})))
    found = engine.find_repeated(table, rows)
    return [] if found is None else sorted(engine.batches(found).read_all()["value"].to_pylist())


@pytest.mark.parametrize("at_once", [1 << 26, 3])
@pytest.mark.parametrize(
    ("values", "found"),
    [([], []), ([5], []), ([5, 1, 3], []), ([5, 1, 5, 3, 5, 2**64 - 1, 2, 2**64 - 1], [5, 2**64 - 1])],
)
def test_values_that_occur_again_are_found_once_each(
    duckdb_engine: Engine, monkeypatch: pytest.MonkeyPatch, values: list[int], found: list[int], at_once: int
) -> None:
    """Sorted at once and in shares, as a grouping finds them."""
    monkeypatch.setattr(engine_module, "_SORTED_AT_ONCE", at_once)
    assert repeated(duckdb_engine, values, len(values)) == found
    table = duckdb_engine.keep(ibis.memtable(pa.table({"value": pa.array(values, pa.uint64())})))
    grouped = Engine.find_repeated(duckdb_engine, table, len(values))
    assert (grouped is None) == (not found)
    if grouped is not None:
        assert sorted(duckdb_engine.batches(grouped).read_all()["value"].to_pylist()) == found


def test_whole_numbers_are_divided_without_a_remainder(duckdb_engine: Engine) -> None:
    """Also beyond what a float holds exactly."""
    table = duckdb_engine.keep(ibis.memtable(pa.table({"value": pa.array([0, 6, 7, 2**62 - 1], pa.int64())})))
    divided = table.select(value=duckdb_engine.divide_whole(table.value, 7))
    assert sorted(duckdb_engine.batches(divided).read_all()["value"].to_pylist()) == [0, 0, 1, (2**62 - 1) // 7]


def test_a_place_for_files_must_be_a_folder(tmp_path: Path) -> None:
    """What is not there, or a file, is refused with the key that names it."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "none", tmp_path / "file"):
        opening = open_engine(EngineSettings(temp_directory=place), SparkSettings())
        with pytest.raises(DataError, match=rf"engine\.temp_directory is '{place}'"), opening:
            pass


def test_spark_is_told_how_many_processors_it_has_here() -> None:
    """Unless the configuration says how many shares to make; a cluster is left its own."""
    key = "spark.sql.shuffle.partitions"
    assert int(name_options(SparkSettings(master="local[*]"))[key]) == 4 * available_cpus()
    assert name_options(SparkSettings(master="local[2]", config={key: "7"}))[key] == "7"
    assert key not in name_options(SparkSettings(master="spark://host:7077"))


def test_spark_reads_times_in_utc_whatever_is_configured() -> None:
    """Times without a zone are placed by the engine, and days by midnight in UTC."""
    configured = SparkSettings(config={"spark.sql.session.timeZone": "Europe/Berlin"})
    assert name_options(configured)["spark.sql.session.timeZone"] == "UTC"
