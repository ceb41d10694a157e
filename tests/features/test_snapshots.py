"""Snapshot dates: outcomes are known, and what is tested is later than all that was learnt."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_mlops.config.settings import ChurnSettings
from churn_mlops.data.events.contract import midnight
from churn_mlops.errors import DataError
from churn_mlops.features.snapshots import choose_snapshots

BEGINS, ENDS = date(2023, 1, 1), date(2024, 6, 30)


def choose(days: int = (ENDS - BEGINS).days, **churn: Any) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Choose the snapshots of a log of so many days."""
    ends = midnight(BEGINS + timedelta(days=days))
    found = choose_snapshots(ChurnSettings.model_validate(churn), midnight(BEGINS), ends)
    return found.training, found.test


def test_the_test_snapshot_is_the_latest_whose_outcome_is_known() -> None:
    """Training snapshots go back from the latest whose outcomes are known at the test snapshot."""
    training, test = choose(horizon_days=[30, 60], lead_days=5, every_days=10, training_snapshots=2)
    assert test == (ENDS - timedelta(days=65),)
    assert training == (test[0] - timedelta(days=75), test[0] - timedelta(days=65))


@given(
    st.integers(1, 900),
    st.lists(st.integers(1, 120), min_size=1, max_size=3),
    st.integers(0, 30),
    st.integers(1, 90),
    st.integers(1, 12),
    st.integers(1, 200),
)
def test_snapshots_are_apart_whatever_is_configured(
    days: int, horizons: list[int], lead: int, every: int, most: int, active: int
) -> None:
    """By the longest horizon and the lead days; or the log is refused as too short."""
    keys = {"horizon_days": horizons, "lead_days": lead, "every_days": every, "training_snapshots": most}
    try:
        training, test = choose(days, **keys, active_days=active)
    except DataError as error:
        assert "log" in str(error)  # noqa: PT017 - either is fine
        return
    outcome = timedelta(days=lead + max(horizons))
    assert 1 <= len(training) <= most
    assert training[-1] + outcome <= test[0]
    assert test[0] + outcome <= BEGINS + timedelta(days=days)
    assert training[0] > BEGINS


@pytest.mark.parametrize(
    ("churn", "sentence"),
    [
        ({"test_snapshots": ["2024-06-15"]}, "nobody can tell yet who left. The latest snapshot"),
        ({"snapshots": ["2024-05-15"]}, "leave at least 30 days between them"),
        ({"snapshots": ["2022-12-31"]}, "has no events before it: the log begins on 2023-01-01"),
        ({"horizon_days": [500]}, "no day is left to train on"),
    ],
)
def test_days_that_cannot_be_learnt_from_are_refused(churn: dict[str, Any], sentence: str) -> None:
    """With the days that are at fault."""
    with pytest.raises(DataError) as refused:
        choose(**churn)
    assert sentence in str(refused.value)
