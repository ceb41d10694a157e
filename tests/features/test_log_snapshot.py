"""A snapshot to score says what it does, and leaves no file of rejected rows where none was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from event_logs import SNAPSHOT, event, log_settings, write_log

from churn_mlops.errors import DataError
from churn_mlops.features.log_snapshot import compute_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.data.events.engine import Engine


def test_nobody_at_risk_leaves_nothing_behind(duckdb_engine: Engine, tmp_path: Path) -> None:
    """No row was rejected, so there is no file of them."""
    settings = log_settings(write_log(tmp_path / "log.parquet", [event("anna", -90)]))
    with pytest.raises(DataError, match="No customer is at risk on 2024-06-01"):
        compute_snapshot(duckdb_engine, settings, tmp_path / "rejects.csv", SNAPSHOT)
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_events_that_are_added_up_are_those_that_count(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Neither those that were rejected nor those that were written twice."""
    log = [event("anna", -1), event("anna", -1), event(None, -1), event("anna", -2)]
    told: list[str] = []
    settings = log_settings(write_log(tmp_path / "log.parquet", log))
    compute_snapshot(duckdb_engine, settings, tmp_path / "rejects.csv", SNAPSHOT, observe=told.append)
    assert "adding up 2 events" in told
    assert len((tmp_path / "rejects.csv").read_text().splitlines()) == 3


def test_cancellations_that_cannot_be_used_are_noted(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Whoever scores is told of them, as whoever trains is."""
    (tmp_path / "gone.csv").write_text("customer_id,time\nanna,2024-05-20\nben,20.05.2024\n")
    log = write_log(tmp_path / "log.parquet", [event("ben", -1), event("anna", -1)])
    settings = log_settings(log, data={"cancellations": {"path": str(tmp_path / "gone.csv")}})
    snapshot = compute_snapshot(duckdb_engine, settings, tmp_path / "rejects.csv", SNAPSHOT)
    assert [note.partition(": 'customer_id'")[0] for note in snapshot.notes] == [
        "data.cancellations: 1 of 2 cannot be used"
    ]
