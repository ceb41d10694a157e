"""What a sample log says: nobody acts before joining or after leaving; what arrives does so late, twice or dirty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from churn_mlops.data.event_sample.activity import TYPES
from churn_mlops.data.event_sample.arrivals import DELIVERED_AGAIN, LATE, REPEATED, VERY_LATE

if TYPE_CHECKING:
    from event_sample.conftest import Log

START, END = pd.Timestamp("2023-01-02", tz="UTC"), pd.Timestamp("2025-01-01", tz="UTC")
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def once(events: pd.DataFrame) -> pd.DataFrame:
    """Each event once, as it became known first."""
    return events.drop_duplicates("event_id")


@pytest.fixture(scope="module")
def lives(log: Log) -> pd.DataFrame:
    """When each customer joined and left: index customer_id."""
    joined = log.read("customers").groupby("customer_id")["joined"].first()
    return pd.DataFrame({"joined": joined, "left": log.read("cancellations").set_index("customer_id")["time"]})


def test_every_type_occurs(events: pd.DataFrame) -> None:
    """More types than features are made of one by one, so that some are the rest."""
    assert {*events["type"]} == {*TYPES}
    assert len(TYPES) == 10


def test_events_lie_within_the_log_and_are_known_after_they_happened(events: pd.DataFrame) -> None:
    """What had not arrived when the log ended is not in it."""
    assert events[["event_id", "customer_id", "time", "type", "known_time"]].notna().all(axis=None)
    assert (events["known_time"] >= events["time"]).all()
    assert START <= events["time"].min() < events["known_time"].max() < END


def test_nobody_acts_before_joining_or_after_leaving(events: pd.DataFrame, lives: pd.DataFrame) -> None:
    """Among those who joined during the log, and among those who left."""
    own = lives.loc[events["customer_id"]].reset_index(drop=True)
    assert (own["joined"] > START).any()
    assert own["left"].notna().any()
    assert (events["time"] >= own["joined"]).all()
    assert not (events["time"] >= own["left"]).any()


def test_only_money_has_an_amount(events: pd.DataFrame) -> None:
    """Payments, failed ones and purchases, always above 0; nothing else."""
    with_amount = events[events["amount"].notna()]
    assert {*with_amount["type"]} == {"payment", "payment_failed", "purchase"}
    assert (with_amount["amount"] > 0).all()
    assert not events["type"].isin(["payment", "payment_failed", "purchase"])[events["amount"].isna()].any()


def test_a_share_of_the_events_is_late(once: pd.DataFrame) -> None:
    """Hours or days, as often as is said."""
    delay = once["known_time"] - once["time"]
    assert (delay > 10 * pd.Timedelta(minutes=1)).mean() == pytest.approx(LATE + VERY_LATE, abs=0.003)
    assert (delay > 2 * DAY).mean() == pytest.approx(VERY_LATE * np.exp(-2 / 3), abs=0.003)
    assert delay.max() <= 30 * DAY


def test_a_share_of_the_events_is_there_twice(events: pd.DataFrame) -> None:
    """Some rows the same in all, some only by their event id."""
    exact = events.duplicated()
    again = events.duplicated("event_id") & ~exact
    assert exact.mean() == pytest.approx(REPEATED, abs=0.0005)
    assert again.mean() == pytest.approx(DELIVERED_AGAIN, abs=0.0005)
    assert not events.duplicated(["event_id", "customer_id", "time", "type"])[~exact & ~again].any()


def test_no_two_customers_are_alike(events: pd.DataFrame, lives: pd.DataFrame) -> None:
    """Also those of different blocks: they join and act at times of their own."""
    assert lives["joined"].duplicated().mean() < 0.01
    assert events.drop_duplicates("event_id").duplicated(["time", "type", "amount"], keep=False).mean() < 0.1


def test_customers_change(log: Log) -> None:
    """Plans and prices do, in rows of their own, known when it happens and while the customer is there."""
    customers = log.read("customers")
    first = ~customers.duplicated("customer_id")
    assert (customers["known_time"] == customers["joined"])[first].all()
    changes = customers.groupby("customer_id", sort=False)[["plan", "price", "known_time"]].shift()[~first]
    later = customers[~first]
    assert (later["known_time"] > changes["known_time"]).all()
    assert (later["price"] != changes["price"]).all()
    assert (later["plan"] != changes["plan"]).mean() == pytest.approx(0.3, abs=0.2)
    left = log.read("cancellations").set_index("customer_id")["time"].reindex(later["customer_id"]).to_numpy()
    assert not (later["known_time"].to_numpy() >= left).any()


def test_bills_are_over_the_price_of_the_time(once: pd.DataFrame, log: Log) -> None:
    """Each payment is what the customers table says the customer then pays."""
    payments = once[once["type"].isin(["payment", "payment_failed"])].sort_values("time")
    prices = log.read("customers").sort_values("known_time")
    prices = prices[["customer_id", "known_time", "price"]].rename(columns={"known_time": "since"})
    found = pd.merge_asof(payments, prices, left_on="time", right_on="since", by="customer_id")
    assert (found["amount"] == found["price"]).all()


def test_a_failed_payment_is_tried_again(once: pd.DataFrame) -> None:
    """Three days later, unless the customer left or the log ended; most are paid in the end."""
    payments = once[once["type"].isin(["payment", "payment_failed"])].sort_values(["customer_id", "time"])
    failed = (payments["type"] == "payment_failed").to_numpy()
    same = (payments["customer_id"] == payments["customer_id"].shift(-1)).to_numpy()
    gap = (payments["time"].shift(-1) - payments["time"]).to_numpy()
    days = gap[failed & same] / np.timedelta64(1, "D")
    assert 0.03 < failed.mean() < 0.12
    assert np.isin(np.round(days[days < 20]), [3, 5, 7]).all()
    assert (days < 20).mean() > 0.9


def test_cancellations_are_written_down_at_once_or_within_days(log: Log) -> None:
    """One for a customer at most."""
    cancellations = log.read("cancellations")
    assert cancellations["customer_id"].is_unique
    delay = cancellations["known_time"] - cancellations["time"]
    assert (delay == pd.Timedelta(0)).mean() == pytest.approx(0.7, abs=0.06)
    assert delay.max() < 4 * DAY
    assert cancellations["known_time"].max() < END


def test_dirt_is_added_and_changes_nothing_else(log: Log, dirty_log: Log) -> None:
    """Without the rows that have an event id of their own, the log is the clean one."""
    clean, dirty = log.read("events"), dirty_log.read("events")
    added = ~dirty["event_id"].isin(clean["event_id"])
    pd.testing.assert_frame_equal(dirty[~added].reset_index(drop=True), clean)
    assert added.mean() == pytest.approx(0.004, abs=0.0004)


@pytest.mark.parametrize(
    "fault",
    [
        lambda rows: rows["customer_id"].isna(),
        lambda rows: rows["customer_id"].str.startswith("unknown-").eq(True),
        lambda rows: rows["type"].isna(),
        lambda rows: rows["time"].isna(),
        lambda rows: rows["time"] == pd.Timestamp(0, tz="UTC"),
        lambda rows: rows["time"] > END + 365 * DAY,
        lambda rows: rows["time"] > rows["known_time"] + HOUR,
        lambda rows: rows["amount"] < 0,
    ],
)
def test_there_is_dirt_of_each_kind(fault: object, log: Log, dirty_log: Log) -> None:
    """And none of it in a log that was asked for without."""
    assert callable(fault)
    assert fault(dirty_log.read("events")).sum() > 100
    assert not fault(log.read("events")).any()
