"""The whole road, as an operator goes it: a real table, a configuration, one command to train and one to serve."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import joblib
import numpy as np
import pytest

from churn_mlops.config import load_settings
from churn_mlops.data.table import load_customers
from churn_mlops.registry.manifest import ESTIMATOR
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG = """
data:
  source: table
  path: {table}
  customer_id: customerID
  target: Churn
  positive_label: Yes
training:
  bootstrap_resamples: 100
serving:
  port: 0
"""
CUSTOMERS = 200


@pytest.fixture(scope="module")
def operator_folder(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration for the Telco table and, after training, its artifacts."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(CONFIG.format(table=real_data("telco.csv")), encoding="utf-8")
    run_module("churn_mlops.training.train_baseline", folder)
    return folder


@pytest.fixture(scope="module")
def address(operator_folder: Path) -> Iterator[str]:
    """Where the service of that folder listens."""
    log = operator_folder / "service.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "churn_mlops.api"]
        process = subprocess.Popen(command, cwd=operator_folder, stdout=output, stderr=output, env=environment())
    try:
        yield wait_for_address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def customers(real_data: Callable[[str], Path]) -> list[dict[str, str]]:
    """The rows of the table as they stand in the file."""
    with real_data("telco.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def environment() -> dict[str, str]:
    """Give the environment of an operator who set nothing."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("CHURN_MLOPS")}


def run_module(module: str, folder: Path) -> str:
    """Run one of the product's commands in a folder; give what it printed."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the service says where it listens."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.02)
    pytest.fail(f"the service did not start:\n{log.read_text(encoding='utf-8')}")


def request_of(customer: dict[str, str], features: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a row of the file as a request: numbers as numbers, blanks as null."""

    def value(name: str, kind: str) -> float | str | None:
        text = customer[name].strip()
        return None if not text else float(text) if kind == "numeric" else text

    values = {feature["name"]: value(feature["name"], feature["kind"]) for feature in features}
    return {"customer_id": customer["customerID"], "features": values}


def test_what_is_served_is_what_was_fitted(
    operator_folder: Path, address: str, customers: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For 200 real customers and all with blanks, the service answers what the estimator predicts, within 1e-6."""
    monkeypatch.chdir(operator_folder)
    settings = load_settings()
    estimator = joblib.load(
        settings.artifacts.path / "models" / Registry(settings.artifacts.path).champion() / ESTIMATOR
    )
    blank = [place for place, customer in enumerate(customers) if not customer["TotalCharges"].strip()]
    places = [*range(CUSTOMERS), *blank]
    expected = estimator.predict_proba(load_customers(settings.data).features.iloc[places])[:, 1]
    with httpx.Client(base_url=address) as client:
        features = client.get("/model").json()["signature"]["features"]
        answers = [
            client.post("/predict", json=request_of(customers[place], features)).raise_for_status().json()
            for place in places
        ]
    assert len(blank) == 11
    assert [answer["customer_id"] for answer in answers] == [customers[place]["customerID"] for place in places]
    np.testing.assert_allclose([answer["churn_probability"] for answer in answers], expected, rtol=0, atol=1e-6)
    missing = [answer["input_quality"]["missing"] for answer in answers]
    assert missing == [[]] * CUSTOMERS + [["TotalCharges"]] * len(blank)


def test_the_version_says_what_it_was_made_from(address: str) -> None:
    """The served manifest names the operator's table, its rows and blanks, and is no sample."""
    manifest = httpx.get(f"{address}/model").json()
    assert (manifest["sample"], manifest["data"]["name"], manifest["data"]["rows_used"]) == (False, "telco.csv", 7043)
    assert "11 blanks" in manifest["data"]["notes"]["TotalCharges"]
    assert manifest["evaluation"]["metrics"]["roc_auc"]["value"] >= 0.843


def test_a_second_training_waits_to_be_promoted(operator_folder: Path, address: str) -> None:
    """Training again while the service runs changes nothing about what is served."""
    served = httpx.get(f"{address}/health").json()["model_version"]
    run_module("churn_mlops.training.train_baseline", operator_folder)
    registry = Registry(operator_folder / "artifacts")
    assert (registry.champion(), len(registry.versions())) == (served, 2)
    assert httpx.get(f"{address}/health").json()["model_version"] == served
