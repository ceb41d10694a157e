"""What is added up in a cell stays apart as far as features need it: moments, days, and when it became known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from event_logs import at, build, event, log_settings, write_log

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from churn_mlops.data.events.engine import Engine

LOG_GOES_ON = event("later", 200)


def rows_of(engine: Engine, folder: Path, log: list[dict[str, Any]], **sections: Any) -> pd.DataFrame:
    """Build the rows of a log, by customer."""
    path = write_log(folder / "log.parquet", [*log, LOG_GOES_ON])
    return build(engine, log_settings(path, **sections), folder / "rejects.csv").set_index("customer_id")


def test_the_first_and_the_last_event_of_a_cell_are_told_apart(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Three events of a day, of one type."""
    row = rows_of(duckdb_engine, tmp_path, [event("a", days) for days in (-5.5, -5.75, -5.25)]).loc["a"]
    assert (row["tenure_days"], row["days_since_last_event"], row["mean_gap_days"]) == (5.75, 5.25, 0.25)


@pytest.mark.parametrize("days", [(-1, -31, -61, -89), (-1, -1.1, -60, -61), (-30, -31, -90, -59)])
def test_each_day_of_a_long_window_counts_once(duckdb_engine: Engine, tmp_path: Path, days: tuple[float, ...]) -> None:
    """Wherever the window is cut, and however many days lie between."""
    events = [event("a", day + 0.5) for day in days] + [event("a", -0.5)]
    sections = {"churn": {"active_days": 90}, "features": {"windows_days": [90]}}
    row = rows_of(duckdb_engine, tmp_path, events, **sections).loc["a"]
    assert row["active_days_90d"] == len({int(-day) for day in days} | {1})


def cancelled(folder: Path, **by_customer: tuple[float, float]) -> dict[str, Any]:
    """Write when customers left, and when that was known; give the settings."""
    rows = [f"{name},{at(when).isoformat()},{at(known).isoformat()}" for name, (when, known) in by_customer.items()]
    (folder / "gone.csv").write_text("\n".join(["customer_id,time,known_time", *rows, ""]))
    return {"cancellations": {"path": str(folder / "gone.csv"), "known_time": "known_time"}}


def test_who_is_known_to_have_left_is_not_at_risk(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Unless it was known too late, or there was an event after it."""
    data = cancelled(tmp_path, gone=(-3, -2), unknown=(-3, 1), back=(-8, -7))
    log = [event(name, -5) for name in ("gone", "unknown", "back", "stays")]
    assert set(rows_of(duckdb_engine, tmp_path, log, data=data).index) == {"unknown", "back", "stays"}


def test_who_leaves_in_the_lead_days_has_no_outcome(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Too late to act on, and not yet time to count; the end of the horizon is no part of it."""
    data = cancelled(tmp_path, lead=(6.5, 6.5), first=(7, 7), last=(36.9, 36.9), after=(37, 37))
    churn = {"definition": "cancellation", "lead_days": 7}
    log = [event(name, -5) for name in ("lead", "first", "last", "after", "stays")]
    outcomes = rows_of(duckdb_engine, tmp_path, log, data=data, churn=churn)["churned_30d"]
    assert outcomes.drop("lead").to_dict() == {"first": True, "last": True, "after": False, "stays": False}
    assert outcomes.isna().to_dict()["lead"]


@pytest.mark.parametrize("lead_days", [0, 7])
def test_who_had_left_without_it_being_known_has_no_outcome(
    duckdb_engine: Engine, tmp_path: Path, lead_days: int
) -> None:
    """Nobody knew at the snapshot, so he is at risk; he neither stayed nor left in the horizon."""
    data = cancelled(tmp_path, gone=(-3, 1), later=(-3, 60), left=(9, 50))
    churn = {"definition": "cancellation", "lead_days": lead_days}
    log = [event(name, -5) for name in ("gone", "later", "left", "stays")]
    outcomes = rows_of(duckdb_engine, tmp_path, log, data=data, churn=churn)["churned_30d"]
    assert outcomes.isna().to_dict() == {"gone": True, "later": True, "left": False, "stays": False}
    assert outcomes.drop(["gone", "later"]).to_dict() == {"left": True, "stays": False}


def test_an_attribute_is_the_latest_that_was_known(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Of events of one day and type; what became known too late says nothing yet."""
    log = [
        event("a", -3.9) | {"device": "phone"},
        event("a", -3.5) | {"device": "tablet"},
        event("a", -3.7) | {"device": "watch"},
        event("a", -3.1, known=0.5) | {"device": "car"},
    ]
    events = {"attributes": ["device"]}
    assert rows_of(duckdb_engine, tmp_path, log, events=events).loc["a", "device"] == "tablet"


def test_an_attribute_of_a_customer_is_the_latest_row_that_was_known(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Who changes the plan after the snapshot has the former one still; who was not known yet has none."""
    rows = [("a", "basic", -50), ("a", "plus", -1), ("a", "gold", 0), ("b", "gold", 1)]
    lines = [f"{name},{plan},{at(known).isoformat()}" for name, plan, known in rows]
    (tmp_path / "customers.csv").write_text("\n".join(["customer_id,plan,since", *lines, "later,basic,2020-01-01", ""]))
    customers = {"path": str(tmp_path / "customers.csv"), "known_time": "since", "attributes": ["plan"]}
    found = rows_of(duckdb_engine, tmp_path, [event("a", -5), event("b", -5)], data={"customers": customers})
    assert found["plan"].fillna("none").to_dict() == {"a": "plus", "b": "none"}
