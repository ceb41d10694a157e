"""Goes from a log to scores by a cluster, as a process of its own that waits between its steps to be told to go on."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from log_roads import Road

from churn_mlops.config.settings import Settings, SparkSettings
from churn_mlops.data.events.engine import open_spark
from churn_mlops.inference.batch_score import job
from churn_mlops.registry.reading import Registry

LEARNT, SCORED = "learnt.parquet", "scored.parquet"
ROWS = 8
"""Customers of a batch, so that there are several to come when the first is there."""


def main(order: str) -> None:
    """Do what a JSON file says: settings, spark, folder, artifacts, training and today."""
    told = json.loads(Path(order).read_text())
    folder = Path(told["folder"])
    job._FEWEST_ROWS = job._MOST_ROWS = ROWS  # type: ignore[misc]  # what is this driver's own
    with open_spark(SparkSettings.model_validate(told["spark"])) as engine:
        settings = Settings.model_validate(told["settings"])
        training = tuple(map(date.fromisoformat, told["training"]))
        road = Road(engine, settings, folder, training, date.fromisoformat(told["today"]))
        builder = road.prepare()
        road.learn(builder).to_parquet(folder / LEARNT)
        wait_after("learning")
        steps = iter(["the first answers"])

        def wait_once() -> None:
            for step in steps:
                wait_after(step)

        scored = road.score(builder, Registry(Path(told["artifacts"])), wait_once)
        scored.to_parquet(folder / SCORED)


def wait_after(step: str) -> None:
    """Say what was done, and wait for a line."""
    print(f"done: {step}", flush=True)  # noqa: T201 - whoever started this process reads it
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1])
