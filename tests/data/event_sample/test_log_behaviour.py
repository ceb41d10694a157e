"""How the customers of a sample log behave, by hour, season and plan; and that leaving can be foreseen in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from churn_mlops.data.event_sample.writing import SampleSize, write_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

HORIZON_DAYS = 60
SNAPSHOTS = ("2023-07-01", "2023-09-01", "2023-11-01", "2024-02-01", "2024-04-01", "2024-06-01")
TEST_SNAPSHOTS = ("2024-09-01", "2024-10-15")


@dataclass(frozen=True)
class Behaviour:
    """A log without its duplicates: sessions are logins.

    Attributes:
        events: rows, first known first.
        customers: first rows, by customer_id.
        left: time of leaving, by customer_id.
    """

    events: pd.DataFrame
    customers: pd.DataFrame
    left: pd.Series[pd.Timestamp]


@pytest.fixture(scope="module")
def behaviour(tmp_path_factory: pytest.TempPathFactory) -> Behaviour:
    """The log of 8,192 customers."""
    folder = tmp_path_factory.mktemp("sample") / "log"
    write_sample(folder, SampleSize(730, 8192), seed=0)
    events = pd.read_parquet(folder / "events", filters=[("type", "in", ["login", "ticket", "payment_failed"])])
    customers = pd.read_parquet(folder / "customers.parquet").drop_duplicates("customer_id").set_index("customer_id")
    left = pd.read_parquet(folder / "cancellations.parquet").set_index("customer_id")["time"]
    return Behaviour(events.drop_duplicates("event_id"), customers, left.reindex(customers.index))


def see(behaviour: Behaviour, snapshot: str) -> pd.DataFrame:
    """Compute a few features of those who are there at a snapshot, and whether they leave within the horizon."""
    now = pd.Timestamp(snapshot, tz="UTC")
    events = behaviour.events[(behaviour.events["known_time"] < now) & (behaviour.events["time"] < now)]
    age = (now - events["time"]).dt.total_seconds() / 86_400

    def count(name: str, low: float, high: float) -> pd.Series[int]:
        chosen = (events["type"] == name) & (age >= low) & (age < high)
        counted: pd.Series[int] = events.loc[chosen, "customer_id"].value_counts()
        return counted

    there = behaviour.customers[(behaviour.customers["joined"] < now) & ~(behaviour.left < now)]
    recency = age[events["type"] == "login"].groupby(events["customer_id"]).min()
    counts = {
        "recent": count("login", 0, 30),
        "before": count("login", 30, 90),
        "tickets": count("ticket", 0, 30),
        "failed": count("payment_failed", 0, 30),
    }
    frame = pd.DataFrame({name: values.reindex(there.index).fillna(0) for name, values in counts.items()})
    tenure = (now - there["joined"]).dt.total_seconds() / 86_400
    frame["new"], frame["annual"] = np.exp(-tenure / 60), there["billing"] == "annual"
    frame["renewal"] = frame["annual"] & (tenure % 365.25 > 365.25 - HORIZON_DAYS) & (tenure > 180)
    frame["basic"], frame["social"] = there["plan"] == "basic", there["channel"] == "social"
    frame["trend"] = np.log1p(frame["recent"]) - np.log1p(frame["before"] / 2)
    frame["recent"] = np.log1p(frame["recent"])
    frame["recency"] = recency.reindex(there.index).fillna(365).clip(upper=365)
    frame["leaves"] = behaviour.left.reindex(there.index) < now + pd.Timedelta(days=HORIZON_DAYS)
    return frame


def see_all(behaviour: Behaviour, snapshots: Sequence[str]) -> pd.DataFrame:
    """Put the rows of several snapshots one after the other."""
    return pd.concat([see(behaviour, snapshot) for snapshot in snapshots])


def test_leaving_can_be_foreseen_in_part(behaviour: Behaviour) -> None:
    """A simple model is far better than chance and far from certain, and recency alone is far worse."""
    seen, later = see_all(behaviour, SNAPSHOTS), see_all(behaviour, TEST_SNAPSHOTS)
    features = seen.columns.drop("leaves")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen[features].astype(float), seen["leaves"])
    by_model = roc_auc_score(later["leaves"], model.predict_proba(later[features].astype(float))[:, 1])
    by_recency = roc_auc_score(later["leaves"], later["recency"])
    assert 0.70 < by_model < 0.92
    assert 0.5 < by_recency < by_model - 0.07


def test_some_leave_out_of_the_blue_and_some_decline_and_stay(behaviour: Behaviour) -> None:
    """Usage halves before some leave; before as many others it does not; and most of those whose usage halves stay."""
    seen = see_all(behaviour, [*SNAPSHOTS, *TEST_SNAPSHOTS])
    seen = seen[seen["before"] >= 8]
    declined = seen["trend"] < np.log(0.5)
    assert 0.15 < declined[seen["leaves"]].mean() < 0.6
    assert declined[seen["leaves"]].mean() > 2 * declined[~seen["leaves"]].mean()
    assert (~seen["leaves"])[declined].mean() > 0.5


def test_the_price_rise_drives_some_away(behaviour: Behaviour) -> None:
    """More of those who pay by the month leave in the weeks after it; not so of the others, who keep their price."""
    rise = pd.Timestamp("2023-01-02", tz="UTC") + pd.Timedelta(days=438)

    def share_leaving(billing: str, since: pd.Timestamp) -> float:
        customers = behaviour.customers[behaviour.customers["billing"] == billing]
        left = behaviour.left.reindex(customers.index)
        there = (customers["joined"] < since - pd.Timedelta(days=90)) & ~(left < since)
        return float((left[there] < since + pd.Timedelta(days=42)).mean())

    before = rise - pd.Timedelta(days=60)
    assert share_leaving("monthly", rise) > 1.4 * share_leaving("monthly", before)
    assert share_leaving("annual", rise) < 1.25 * share_leaving("annual", before)


def test_there_are_seasons(behaviour: Behaviour) -> None:
    """Those who are there all year log in less in summer than in winter, and least between the years."""
    year = (pd.Timestamp("2023-01-02", tz="UTC"), pd.Timestamp("2023-12-31", tz="UTC"))
    all_year = behaviour.customers.index[(behaviour.customers["joined"] < year[0]) & ~(behaviour.left < year[1])]
    logins = behaviour.events[(behaviour.events["type"] == "login") & behaviour.events["customer_id"].isin(all_year)]
    week = (logins["time"] - year[0]).dt.days // 7
    by_week = week.value_counts().sort_index()
    winter, summer = by_week[4:8].mean(), by_week[26:30].mean()
    assert 0.6 < summer / winter < 0.85
    assert by_week[51] < 0.85 * by_week[44:48].mean()


def test_there_are_days_and_nights(behaviour: Behaviour) -> None:
    """A customer's hours are the customer's own: most have one time of the day at which half of their logins are."""
    logins = behaviour.events[behaviour.events["type"] == "login"]
    turn = np.exp(2j * np.pi * (logins["time"].dt.hour + logins["time"].dt.minute / 60) / 24)
    focus = turn.groupby(logins["customer_id"]).agg(["mean", "size"])
    focus = focus[focus["size"] >= 50]["mean"]
    assert np.median(np.abs(focus)) > 0.5
    assert np.abs(focus.mean()) < np.median(np.abs(focus)) - 0.05  # customers differ
