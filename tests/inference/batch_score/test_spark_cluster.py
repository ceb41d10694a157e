"""A cluster of a master and workers does the same as DuckDB, though workers are killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from log_roads import Road, fit_on, write_small_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cluster import Cluster

    from churn_mlops.data.events.engine import Engine

pytest.importorskip("pyspark", reason="needs pyspark: pip install 'churn-mlops[spark]'")
if shutil.which("java") is None:
    pytest.skip("needs Java 17 on the path, which Spark runs on", allow_module_level=True)

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = [str(REPOSITORY / "src")]
TESTS = ("inference/batch_score/roads", "features", "models", "registry")
TEST_FOLDERS = [str(REPOSITORY / "tests" / name) for name in TESTS]
TRAINING, TODAY = (date(2024, 9, 1),), date(2024, 11, 1)
PATIENCE_SECONDS = 240


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master without workers yet."""
    # imported here, since it needs pyspark
    from spark_cluster import Cluster

    folder = tmp_path / "cluster"
    folder.mkdir()
    started = Cluster(folder)
    yield started
    started.end()


def test_workers_that_are_killed_change_nothing(cluster: Cluster, duckdb_engine: Engine, tmp_path: Path) -> None:
    """One after features were computed, which it kept a part of, and another while answers are taken."""
    settings = write_small_log(tmp_path / "log")
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    road = Road(duckdb_engine, settings, here, TRAINING, TODAY)
    builder = road.prepare()
    learnt = road.learn(builder)
    scored = road.score(builder, fit_on(learnt, tmp_path / "artifacts"))

    workers = [cluster.add_worker(), cluster.add_worker()]
    order = {
        "settings": settings.model_dump(mode="json", exclude_unset=True),
        "spark": {"master": cluster.address, "config": config()},
        "folder": str(there),
        "artifacts": str(tmp_path / "artifacts"),
        "training": [day.isoformat() for day in TRAINING],
        "today": TODAY.isoformat(),
    }
    with drive(tmp_path / "order.json", order) as driver:
        wait_for(driver, "learning")
        cluster.kill(workers[0])
        cluster.add_worker()
        go_on(driver)
        wait_for(driver, "the first answers")
        assert not (there / "scored.parquet").exists()
        cluster.kill(workers[1])
        go_on(driver)
        said, _ = driver.communicate(timeout=PATIENCE_SECONDS)
        assert driver.returncode == 0, said
    same: dict[str, Any] = {"check_exact": False, "check_dtype": False, "rtol": 0}
    pd.testing.assert_frame_equal(pd.read_parquet(there / "learnt.parquet"), learnt, atol=1e-9, **same)
    pd.testing.assert_frame_equal(pd.read_parquet(there / "scored.parquet"), scored, atol=1e-6, **same)
    assert len(scored) > 20


def config() -> dict[str, str]:
    """Give what executors need: this Python, the package, and little memory."""
    return {
        "spark.pyspark.python": sys.executable,
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(SOURCES),
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "600m",
        "spark.sql.shuffle.partitions": "3",
        "spark.ui.enabled": "false",
        # a hundred columns of a few rows: to compile their code takes longer than to go without
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }


def drive(path: Path, order: dict[str, Any]) -> subprocess.Popen[str]:
    """Start the driver."""
    path.write_text(json.dumps(order))
    script = str(Path(__file__).parent / "roads" / "spark_driver.py")
    return subprocess.Popen(
        [sys.executable, script, str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(SOURCES + TEST_FOLDERS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(driver: subprocess.Popen[str], step: str) -> None:
    """Wait until the driver says that a step was done."""
    assert driver.stdout is not None
    said = []
    for line in driver.stdout:
        said.append(line)
        if line.startswith(f"done: {step}"):
            return
    pytest.fail("".join(said[-40:]))


def go_on(driver: subprocess.Popen[str]) -> None:
    """Tell the driver to go on."""
    assert driver.stdin is not None
    driver.stdin.write("\n")
    driver.stdin.flush()
