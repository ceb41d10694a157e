"""Every feature has a name of its own, whatever the types of events are called."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_mlops.config.settings import FeaturesSettings
from churn_mlops.features.definitions import define_features

SETTINGS = FeaturesSettings(windows_days=(7, 30))


def names_of(types: tuple[str, ...]) -> list[str]:
    """Name the features of some types of events."""
    return [feature.name for feature in define_features(SETTINGS, types, has_amount=True)]


@pytest.mark.parametrize(
    "types",
    [
        ("login", "events"),
        ("login", "mean"),
        ("a-b", "a b", "a_b_1", "a_b_2"),
        ("a_b_1", "a-b", "a b"),
        ("a", "a_mean"),
        ("a_mean", "a", "a mean"),
    ],
)
def test_no_two_features_have_one_name(types: tuple[str, ...]) -> None:
    """Types that are called like features of all events, or like one another but for signs."""
    assert [name for name, count in Counter(names_of(types)).items() if count > 1] == []


@given(st.lists(st.text("ab_- 12", max_size=5) | st.sampled_from(["events", "mean", "a_mean"]), unique=True))
def test_no_types_give_two_features_one_name(types: list[str]) -> None:
    """Property: of any types."""
    names = names_of(tuple(types))
    assert len(names) == len(set(names))


def test_names_that_are_free_are_the_types_own() -> None:
    """And those that are not get the number of types before them."""
    names = names_of(("login", "a-b", "a b"))
    assert {"login_events_7d", "a_b_events_7d", "a_b_2_events_7d"} <= set(names)
