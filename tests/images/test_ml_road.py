"""The whole road inside the training image: a log, its features, a version, promoted, and a list of whom to contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from images_engine import ML, Engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

ML_SPARK = f"{ML}-spark"
SETTINGS = {
    "DATA__SOURCE": "events",
    "DATA__EVENTS": "{path: data/log/events, event_id: event_id, known_time: known_time, amount: amount}",
    "CHURN__ACTIVE_DAYS": "60",
    "CHURN__TRAINING_SNAPSHOTS": "2",
    "CHURN__HORIZON_DAYS": "[14]",
    "FEATURES__WINDOWS_DAYS": "[30]",
    "FEATURES__EVENT_TYPES": "1",
    "TRAINING__FOLDS": "3",
    "TRAINING__BOOTSTRAP_RESAMPLES": "100",
    "EVALUATION__LEARNING_CURVE": "false",
    "EVALUATION__LEAK_REPORT": "false",
}
# a hundred columns of a few rows: to compile their code takes longer than to go without
QUICK = (
    "{spark.sql.shuffle.partitions: '2', spark.ui.enabled: 'false', spark.sql.codegen.wholeStage: 'false', "
    "spark.sql.codegen.factoryMode: NO_CODEGEN}"
)
SPARK = (
    "-e CHURN_MLOPS__ENGINE__NAME=pyspark -e CHURN_MLOPS__SPARK__MASTER='local[2]' "
    f'-e CHURN_MLOPS__SPARK__CONFIG="{QUICK}"'
)


class Road:
    """Runs commands in an image over mounted folders, as a user whom nobody knows."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self.data, artifacts = folder / "data", folder / "artifacts"
        for mounted in (self.data, artifacts):
            mounted.mkdir()
            mounted.chmod(0o777)
        settings = " ".join(f"-e CHURN_MLOPS__{name}='{value}'" for name, value in SETTINGS.items())
        self._options = (
            f"--rm --user 1234:1234 --read-only --cap-drop ALL --network none {settings}"
            f" -v {self.data}:/app/data -v {artifacts}:/app/artifacts"
        )

    def go(self, command: str, image: str = ML, options: str = "") -> str:
        """Run a command, and give what it printed."""
        # Java loads its own libraries from there, where a --tmpfs without more may not run anything
        temporary = "--tmpfs /tmp:exec" if image == ML_SPARK else "--tmpfs /tmp"
        return self._engine.output(f"docker run {self._options} {temporary} {options} {image} {command}")


@pytest.fixture
def road(engine: Engine, tmp_path: Path) -> Road:
    """Empty folders to go it in."""
    return Road(engine, tmp_path)


@pytest.mark.usefixtures("ml_build")
def test_from_a_log_to_a_contact_list(road: Road) -> None:
    """As any user, with a read-only root file system and without a network; what is written belongs to that user."""
    road.go("churn-mlops sample events --output data/log --customers 400 --days 300")
    assert "days_since_last_event" in road.go("churn-mlops features list")
    road.go("python -m churn_mlops.training.train_baseline")
    road.go("python -m churn_mlops.training.train_baseline", options="-e CHURN_MLOPS__TRAINING__SEED=1")
    assert "champion: " in road.go("churn-mlops models promote challenger --force --reason 'the road is tried'")
    road.go("churn-mlops score --output data/contact.csv --top 20")
    contacts = pd.read_csv(road.data / "contact.csv")
    assert len(contacts) == 20
    assert contacts["churn_probability"].is_monotonic_decreasing
    assert contacts["reason_1"].notna().all()
    assert (road.data / "contact.csv").stat().st_uid == 1234


@pytest.mark.usefixtures("ml_spark_build")
def test_spark_runs_in_its_image(road: Road) -> None:
    """Java and Spark are inside, for any user: the contact list is that of DuckDB."""
    road.go("churn-mlops sample events --output data/log --customers 400 --days 300", ML_SPARK)
    road.go("python -m churn_mlops.training.train_baseline", ML_SPARK)
    road.go("churn-mlops score --output data/duckdb.csv", ML_SPARK)
    road.go("python -m churn_mlops.inference.batch_score --output data/spark.csv", ML_SPARK, SPARK)
    lists = [pd.read_csv(road.data / f"{name}.csv") for name in ("duckdb", "spark")]
    assert len(lists[0]) > 20
    pd.testing.assert_frame_equal(lists[0], lists[1], check_exact=False, rtol=0, atol=1e-6)
