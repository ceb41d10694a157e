"""Every feature and outcome of a log that is small enough to be worked out by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pytest
from event_logs import SNAPSHOT, build, event, log_settings, write_log

from churn_mlops.features import history

if TYPE_CHECKING:
    from pathlib import Path

    import ibis.expr.types as ir

    from churn_mlops.data.events.engine import Engine

LOG = [
    # anna: a purchase long ago, three logins on two days, a purchase just before the snapshot; she comes back
    event("anna", -100, "purchase", 10.0),
    event("anna", -20.5, "login"),
    event("anna", -20.25, "login"),
    event("anna", -10, "login"),
    event("anna", -1.5, "purchase", 30.0),
    event("anna", 29, "login"),
    # ben: active, never again
    event("ben", -5, "login"),
    # cleo: last seen too long ago to be at risk
    event("cleo", -31, "login"),
    # dora: what happened before the snapshot became known on its day, which is too late
    event("dora", -3, "login", known=0),
    # the log goes on, so that outcomes are known
    event("emil", 31, "login"),
]


@pytest.fixture(scope="module")
def rows(duckdb_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rows of the log, by customer."""
    folder = tmp_path_factory.mktemp("hand-worked")
    settings = log_settings(write_log(folder / "log.parquet", LOG))
    return build(duckdb_engine, settings, folder / "rejects.csv").set_index("customer_id")


def test_only_customers_at_risk_have_a_row(rows: pd.DataFrame) -> None:
    """Neither who was not active lately, nor whose activity was not known, nor who came later."""
    assert list(rows.index) == ["anna", "ben"]
    assert set(rows["snapshot_date"]) == {SNAPSHOT}


def test_outcomes_are_those_of_the_horizon(rows: pd.DataFrame) -> None:
    """Anna came back within 30 days, Ben did not."""
    assert rows["churned_30d"].to_dict() == {"anna": False, "ben": True}


@pytest.mark.parametrize(
    ("feature", "anna", "ben"),
    [
        ("days_since_last_event", 1.5, 5),
        ("tenure_days", 100, 5),
        ("events", 5, 1),
        ("mean_gap_days", 98.5 / 4, None),
        ("gap_ratio", 1.5 / (98.5 / 4), None),
        ("amount", 40, 0),
        ("mean_amount", 20, None),
        ("events_7d", 1, 1),
        ("events_30d", 4, 1),
        ("events_trend_7d", 0, 1),
        ("events_trend_30d", 4, 1),
        ("active_days_7d", 1, 1),
        ("active_days_30d", 3, 1),
        ("amount_30d", 30, 0),
        ("mean_amount_30d", 30, None),
        ("login_days_since_last", 10, 5),
        ("login_events_7d", 0, 1),
        ("login_events_30d", 3, 1),
        ("login_trend_7d", -1, 1),
        ("login_share_30d", 0.75, 1),
        ("login_active_days_30d", 2, 1),
        ("purchase_days_since_last", 1.5, None),
        ("purchase_amount_30d", 30, 0),
        ("purchase_mean_amount_30d", 30, None),
    ],
)
def test_a_feature_is_what_it_says(rows: pd.DataFrame, feature: str, anna: float, ben: float | None) -> None:
    """Worked out by hand."""
    assert rows.loc["anna", feature] == pytest.approx(anna)
    assert rows.loc["ben", feature] == (
        pytest.approx(ben) if ben is not None else pytest.approx(float("nan"), nan_ok=True)
    )


def test_a_day_counts_once_however_its_events_became_known(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Of two logins on a day one was known late, between two snapshots: other snapshots change no feature."""
    log = [event("anna", -11.5), event("anna", -11.2, known=-9.5), event("anna", -1, "purchase"), event("emil", 40)]
    settings = log_settings(write_log(tmp_path / "log.parquet", log))
    earlier = SNAPSHOT - timedelta(days=10)
    alone, together = (
        build(duckdb_engine, settings, tmp_path / "rejects.csv", snapshots)
        for snapshots in ([SNAPSHOT], [earlier, SNAPSHOT])
    )
    assert alone["login_active_days_30d"].to_list() == [1.0]
    pd.testing.assert_frame_equal(alone, together[together["snapshot_date"] == SNAPSHOT].reset_index(drop=True))


def test_a_log_may_begin_before_1970(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Its days are days like others, and the latest attribute is the latest."""
    days = {-20_000.5: "basic", -19_900.5: "plus", -19_950.5: "gold", -1.5: None}
    log = [event("anna", day) | {"plan": plan} for day, plan in days.items()] + [event("emil", 31) | {"plan": None}]
    settings = log_settings(
        write_log(tmp_path / "log.parquet", log), events={"earliest": "1960-01-01", "attributes": ["plan"]}
    )
    rows = build(duckdb_engine, settings, tmp_path / "rejects.csv").set_index("customer_id")
    assert rows.loc["anna", "tenure_days"] == pytest.approx(20_000.5)
    assert rows.loc["anna", "active_days_30d"] == 1
    assert rows.loc["anna", "plan"] == "plus"


def test_the_earliest_day_there_can_be_is_a_day_like_others(duckdb_engine: Engine, tmp_path: Path) -> None:
    """The first that data.events.earliest takes."""
    first = (date(1823, 1, 1) - SNAPSHOT).days
    log = [event("anna", first), event("anna", -1.5), event("emil", 31)]
    settings = log_settings(write_log(tmp_path / "log.parquet", log), events={"earliest": "1823-01-01"})
    rows = build(duckdb_engine, settings, tmp_path / "rejects.csv").set_index("customer_id")
    assert rows.loc["anna", "tenure_days"] == -first
    assert rows.loc["anna", "active_days_30d"] == 1


def test_a_year_has_more_days_than_a_byte_can_count(duckdb_engine: Engine, tmp_path: Path) -> None:
    """They are counted by intervals of 60 days at most, as numbers of 8 bits."""
    log = [event("anna", -day - 0.5) for day in range(200)] + [event("emil", 31)]
    settings = log_settings(write_log(tmp_path / "log.parquet", log), features={"windows_days": [7, 365]})
    found = build(duckdb_engine, settings, tmp_path / "rejects.csv").set_index("customer_id")
    assert list(found.loc["anna", ["active_days_7d", "active_days_365d"]]) == [7, 200]


TYPES = tuple(f"type_{place}" for place in range(8))
"""As many as have features of their own, of which each has its own figures."""


def write_types(path: Path) -> Path:
    """Anna has one event of the first type, two of the second and so on, a day further back each; Ben has every other.

    The amounts of a type are ten times its place, and one more with each event.
    """
    log = [
        event("anna", -2 - place - number / 100, kind, 10.0 * place + number)
        for place, kind in enumerate(TYPES)
        for number in range(place + 1)
    ]
    log += [event("ben", -3 - place, kind, 100.0 + place) for place, kind in enumerate(TYPES) if place % 2 == 0]
    return write_log(path, [*log, event("emil", 40, TYPES[0])])


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 8, 30])
def test_many_types_are_joined_in_parts(
    duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Each once, with its own figures, however many are joined at once."""
    joins = []
    keep = duckdb_engine.keep

    def count_and_keep(table: ir.Table) -> ir.Table:
        joins.append(ibis.to_sql(table, dialect="duckdb").count("LEFT OUTER JOIN"))
        return keep(table)

    monkeypatch.setattr(duckdb_engine, "keep", count_and_keep)
    monkeypatch.setattr(history, "_JOINED_AT_ONCE", at_once)
    settings = log_settings(write_types(tmp_path / "log.parquet"))
    rows = build(duckdb_engine, settings, tmp_path / "rejects.csv").set_index("customer_id")
    assert list(rows.index) == ["anna", "ben"]
    for place, kind in enumerate(TYPES):
        is_bens = place % 2 == 0
        expected = {
            "events_30d": (place + 1, is_bens),
            "events_7d": (place + 1 if place <= 4 else int(place == 5), is_bens and place <= 4),
            "amount_30d": (sum(10 * place + number for number in range(place + 1)), (100 + place) * is_bens),
            "days_since_last": (2 + place, 3 + place if is_bens else math.nan),
            "active_days_30d": (1 if place == 0 else 2, is_bens),
        }
        for name, (anna, ben) in expected.items():
            found = rows[f"{kind}_{name}"].to_list()
            assert found == pytest.approx([anna, float(ben)], nan_ok=True), f"{kind}_{name}"
    assert rows["events"].to_list() == [36, 4]
    assert (max(joins), sum(joins)) == (min(at_once, len(TYPES)), len(TYPES))
