"""Nothing that happens, or becomes known, from the snapshot on reaches a feature; nothing before it reaches a label."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from event_logs import build, event, log_settings, write_log
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from churn_mlops.data.events.engine import Engine

TYPES = ("login", "purchase", "ticket")
ANCHORS = [event("anchor", -90, "login"), event("anchor", -1, "login"), event("anchor", 90, "login")]
"""So that every log has a customer at risk, and outcomes that are known."""

times = st.floats(-80, 40, allow_nan=False).map(lambda days: round(days, 3))
delays = st.one_of(st.just(0.0), st.floats(0, 30).map(lambda days: round(days, 3)))


@st.composite
def events(draw: st.DrawFn, customers: str = "abc") -> dict[str, Any]:
    """Draw an event of one of a few customers, which may have become known late."""
    days = draw(times)
    amount = draw(st.one_of(st.none(), st.floats(0, 100).map(lambda number: round(number, 2))))
    return event(draw(st.sampled_from(customers)), days, draw(st.sampled_from(TYPES)), amount, days + draw(delays))


logs = st.lists(events(), min_size=1, max_size=25)


def features_of(engine: Engine, log: Sequence[dict[str, Any]], **sections: Any) -> pd.DataFrame:
    """Build a log's rows, by customer."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_log(Path(folder) / "log.parquet", [*log, *ANCHORS])
        rows = build(engine, log_settings(path, **sections), Path(folder) / "rejects.csv", types=TYPES)
    return rows.set_index("customer_id")


def is_known(each: dict[str, Any]) -> bool:
    """Whether an event was known before the snapshot."""
    return bool(max(each["time"], each["known_time"]) < event("", 0)["time"])


def check_features_see_no_future(engine: Engine, log: list[dict[str, Any]], shift: float) -> None:
    """Leave out, and move away, every event that was not known before the snapshot."""
    known = [each for each in log if is_known(each)]
    later = [each for each in log if not is_known(each)]
    moved = [each | {"known_time": each["known_time"] + pd.Timedelta(days=shift)} for each in later]
    built = [features_of(engine, each).drop(columns="churned_30d") for each in (log, known, [*known, *moved])]
    pd.testing.assert_frame_equal(built[0], built[1], rtol=1e-9)
    pd.testing.assert_frame_equal(built[0], built[2], rtol=1e-9)


def check_labels_see_no_past(engine: Engine, log: list[dict[str, Any]], draw: Callable[[], float]) -> None:
    """Change every event before the snapshot, keeping who is at risk: no outcome changes."""
    before = [each for each in log if each["time"] < event("", 0)["time"]]
    after = [each for each in log if each not in before]
    kept_at_risk = [event(customer, -2) for customer in "abc"]
    changed = [
        each | {"type": "ticket", "amount": 1.0, "time": each["time"] - pd.Timedelta(days=draw())} for each in before
    ]
    outcomes = [
        features_of(engine, [*history, *kept_at_risk, *after])["churned_30d"] for history in (before, changed, [])
    ]
    pd.testing.assert_series_equal(outcomes[0], outcomes[1])
    pd.testing.assert_series_equal(outcomes[0], outcomes[2])


@settings(max_examples=15, deadline=None)
@given(logs, st.floats(0, 50))
def test_what_is_not_known_before_the_snapshot_changes_no_feature(
    duckdb_engine: Engine, log: list[dict[str, Any]], shift: float
) -> None:
    """By known time: deleted or moved, it leaves every feature and who is at risk as they are."""
    check_features_see_no_future(duckdb_engine, log, shift)


@settings(max_examples=15, deadline=None)
@given(logs, st.data())
def test_what_happens_before_the_snapshot_changes_no_outcome(
    duckdb_engine: Engine, log: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Changed, moved or deleted, it leaves the outcome of everyone at risk as it is."""
    check_labels_see_no_past(duckdb_engine, log, lambda: data.draw(st.floats(0, 20)))


def test_a_late_event_is_seen_once_it_is_known(duckdb_engine: Engine) -> None:
    """The same event, known a moment before the snapshot and at it."""
    seen = [features_of(duckdb_engine, [event("a", -2), event("a", -5, known=known)]) for known in (-0.001, 0)]
    assert [rows.loc["a", "events"] for rows in seen] == [2, 1]


def test_the_midnight_of_the_snapshot_belongs_to_the_outcome(duckdb_engine: Engine) -> None:
    """Features end before it, the outcome begins with it and ends before the midnight after the horizon."""
    rows = features_of(duckdb_engine, [event("a", -1), event("a", 0), event("b", -1), event("b", 30), event("c", -30)])
    assert rows["churned_30d"].drop("anchor").to_dict() == {"a": False, "b": True, "c": True}
    assert rows["events"].drop("anchor").to_dict() == {"a": 1, "b": 1, "c": 1}


def test_lead_days_are_no_part_of_the_outcome(duckdb_engine: Engine) -> None:
    """What happens in them neither keeps nor loses a customer."""
    rows = features_of(
        duckdb_engine, [event("a", -1), event("a", 5), event("b", -1), event("b", 7)], churn={"lead_days": 7}
    )
    assert rows["churned_30d"].drop("anchor").to_dict() == {"a": True, "b": False}


def test_a_horizon_that_is_not_over_is_unlabelled(duckdb_engine: Engine) -> None:
    """The log ends 90 days after the snapshot: a horizon of 91 has no outcome, and nobody is said to have stayed."""
    rows = features_of(duckdb_engine, [event("a", -1)], churn={"horizon_days": [30, 91]})
    assert rows["churned_30d"].tolist() == [True, True]
    assert rows["churned_91d"].isna().all()
