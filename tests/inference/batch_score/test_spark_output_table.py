"""A table of answers in Spark's catalogue: replaced by a later result, and refused where it is somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pyspark", reason="needs pyspark: pip install 'churn-mlops[spark]'")
if shutil.which("java") is None:
    pytest.skip("needs Java 17 on the path, which Spark runs on", allow_module_level=True)

WRITE = """
import json, sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.config.settings import Settings
from churn_mlops.data.events.engine import open_engine
from churn_mlops.errors import OutputRefused
from churn_mlops.inference.batch_score.output_tables import SparkTable

folder = Path(sys.argv[1])
catalogue = {
    "spark.sql.catalogImplementation": "hive",
    "spark.sql.warehouse.dir": str(folder / "warehouse"),
    "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder / 'metastore'};create=true",
    "spark.ui.enabled": "false",
}


def settings(config):
    return Settings.model_validate({
        "data": {"events": {"table": "log"}},
        "engine": {"name": "pyspark"},
        "spark": {"master": "local[1]", "config": config},
    })


def write(customers):
    answers = pa.table({
        "customer_id": [f"C{number}" for number in range(customers)],
        "churn_probability": pa.array([0.5] * customers, pa.float32()),
        "risk_band": pa.array(["low"] * customers).dictionary_encode(),
        "missing": pa.array([["plan", "price"]] * customers),
        "snapshot_date": pa.array([date(2024, 1, 1)] * customers),
    })
    pa_parquet.write_table(answers, folder / "answers.parquet")
    return folder / "answers.parquet"


def refusal(name, config, overwrite=False):
    try:
        SparkTable(name, overwrite, settings(config)).check()
    except OutputRefused as error:
        return str(error)


def failure(name):
    try:
        SparkTable(name, True, settings(catalogue)).replace(folder / "answers.parquet")
    except OutputRefused as error:
        return str(error)


said = {"in_memory": refusal("scores", {"spark.ui.enabled": "false"})}
table = SparkTable("scores", False, settings(catalogue))
table.replace(write(5))
table.replace(write(3))
with open_engine(settings(catalogue).engine, settings(catalogue).spark) as engine:
    session = engine.connection._session
    said["rows"] = [[row.customer_id, row.churn_probability, row.risk_band, row.missing] for row in
                    session.table("scores").collect()]
    session.sql("CREATE TABLE other AS SELECT 1 AS one")
    session.sql("CREATE TABLE log AS SELECT 1 AS one")
    session.sql("CREATE VIEW seen AS SELECT 1 AS one")
    said["tables"] = sorted(table.name for table in session.catalog.listTables())
said["taken"] = refusal("other", catalogue)
said["nowhere"] = refusal("nowhere.scores", catalogue)
said["view"] = refusal("SEEN", catalogue, overwrite=True)
said["log"] = refusal("default.LOG", catalogue, overwrite=True)
said["letters"] = failure("größe")
SparkTable("default.more", False, settings(catalogue)).replace(write(2))
SparkTable("spark_catalog.default.more", False, settings(catalogue)).replace(write(4))
with open_engine(settings(catalogue).engine, settings(catalogue).spark) as engine:
    said["more"] = engine.connection._session.table("more").count()
print(json.dumps(said))
"""


def test_a_table_of_the_catalogue_is_replaced(tmp_path: Path) -> None:
    """By a later result; not if somebody else wrote it, nor in a catalogue that is gone with the process."""
    # a process of its own: a session's catalogue cannot be chosen again
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["rows"] == [[f"C{number}", 0.5, "low", ["plan", "price"]] for number in range(3)]
    assert "'other' is a table that churn-mlops score did not write" in said["taken"]
    assert said["tables"] == ["log", "other", "scores", "seen"]
    assert "Spark has no database 'nowhere'" in said["nowhere"]
    assert "'SEEN' is a view of Spark's catalogue" in said["view"]
    assert "'default.LOG' is what data.events.table names" in said["log"]
    assert said["letters"] is None or said["letters"].startswith("Spark cannot write the table 'größe'")
    assert said["more"] == 4
    assert "Spark's catalogue is in memory and ends with this process" in said["in_memory"]
