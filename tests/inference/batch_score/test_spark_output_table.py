"""A table of answers in Spark's catalogue: replaced by a later result, and refused where it is somebody else's."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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
    return Settings.model_validate({"engine": {"name": "pyspark"}, "spark": {"master": "local[1]", "config": config}})


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


def refusal(name, config):
    try:
        SparkTable(name, False, settings(config)).check()
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
    said["tables"] = sorted(table.name for table in session.catalog.listTables())
said["taken"] = refusal("other", catalogue)
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
    assert said["tables"] == ["other", "scores"]
    assert "Spark's catalogue is in memory and ends with this process" in said["in_memory"]
