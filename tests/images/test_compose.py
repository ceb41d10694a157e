"""`docker compose up`: trains once, then serves."""

from __future__ import annotations

import json

import pytest
from images_engine import Engine, get, wait_for

# read by docker compose beside its own file: the quickest model will do here
QUICK = """
services:
  train:
    environment:
      CHURN_MLOPS__TRAINING__MODEL: logistic
      CHURN_MLOPS__TRAINING__BUDGET_SECONDS: "5"
      CHURN_MLOPS__EVALUATION__LEAK_REPORT: "false"
      CHURN_MLOPS__EVALUATION__LEARNING_CURVE: "false"
"""

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("api_build", "ml_build", "port_8000")]


def test_compose_trains_once_and_serves(engine: Engine) -> None:
    """The first start trains a champion, a second one keeps it."""
    if engine.run("docker compose version", check=False).returncode:
        pytest.skip("needs docker compose")
    (engine.checkout / "data").mkdir(exist_ok=True)
    override = engine.checkout / "docker-compose.override.yml"
    override.write_text(QUICK)
    try:
        engine.run("docker compose up -d")
        first = json.loads(wait_for("http://localhost:8000/ready"))["model_version"]
        engine.run("docker compose up -d --force-recreate")
        wait_for("http://localhost:8000/ready")
        again = json.loads(get("http://localhost:8000/health")[1])["model_version"]
        log = engine.output("docker compose logs --no-log-prefix train")
    finally:
        engine.run("docker compose down -v", check=False)
        override.unlink()
    assert again == first
    assert f"{first} is champion already" in log
