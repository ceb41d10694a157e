"""A sample log with a version trained on it: late and repeated events, attributes, cancellations, two horizons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from churn_mlops.config import load_settings
from churn_mlops.data.event_sample.writing import SampleSize, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings

CUSTOMERS, DAYS = 500, 180
SNAPSHOTS = {"snapshots": ["2024-10-18", "2024-11-15"], "test_snapshots": ["2024-12-08"]}


def write_world(folder: Path) -> Settings:
    """Write a log and the configuration to train on it, `config.yaml`; give the settings."""
    write_sample(folder / "log", SampleSize(DAYS, CUSTOMERS), seed=0)
    log = folder / "log"
    sections = {
        "data": {
            "source": "events",
            "events": {
                "path": str(log / "events" / "*.parquet"),
                "amount": "amount",
                "known_time": "known_time",
                "event_id": "event_id",
            },
            "customers": {
                "path": str(log / "customers.parquet"),
                "known_time": "known_time",
                "attributes": ["plan", "country"],
            },
            "cancellations": {"path": str(log / "cancellations.parquet"), "known_time": "known_time"},
        },
        "churn": {"active_days": 60, "event_types": ["login"], "horizon_days": [5, 10]} | SNAPSHOTS,
        "features": {
            "windows_days": [7, 30],
            "event_types": ["login", "payment", "payment_failed", "ticket"],
            "expressions": {"logins_a_day": "login_events_30d / 30"},
        },
        "training": {"folds": 2, "bootstrap_resamples": 100},
        "evaluation": {"learning_curve": False, "leak_report": False},
        "engine": {"threads": 1},
        "artifacts": {"path": str(folder / "artifacts")},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    return load_settings(folder / "config.yaml")
