"""Probabilities of several horizons fit each other, and the main one stays as it is."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.models.coherence import make_coherent


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("cancellation", {7: [0.2, 0.1], 90: [0.3, 0.5], 60: [0.3, 0.4], 14: [0.3, 0.2]}),
        ("inactivity", {7: [0.6, 0.4], 90: [0.1, 0.2], 60: [0.1, 0.2], 14: [0.6, 0.2]}),
    ],
)
def test_a_horizon_is_bounded_by_those_between(
    definition: Literal["inactivity", "cancellation"], expected: dict[int, list[float]]
) -> None:
    """Of 30 days the figures are 0.3 and 0.2; worked out by hand for two customers, in the order that was given."""
    further = {
        7: np.array([0.2, 0.1]),
        90: np.array([0.1, 0.5]),
        60: np.array([0.1, 0.4]),
        14: np.array([0.6, 0.2]),
    }
    if definition == "inactivity":
        further[7] = np.array([0.2, 0.4])
    coherent = make_coherent(np.array([0.3, 0.2]), 30, further, definition)
    assert {days: values.tolist() for days, values in coherent.items()} == expected
    assert list(coherent) == [7, 90, 60, 14]


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=6, unique=True),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["inactivity", "cancellation"]),
)
@settings(deadline=None, database=None)
def test_any_horizons_ascend_or_descend(
    days: list[int], seed: int, definition: Literal["inactivity", "cancellation"]
) -> None:
    """Cancelling becomes no less likely with time, silence no more likely; what fits already is not touched."""
    random = np.random.default_rng(seed)
    main, *others = days
    probability = {length: random.random(50) for length in days}
    coherent = make_coherent(probability[main], main, {length: probability[length] for length in others}, definition)
    ordered = [(coherent | {main: probability[main]})[length] for length in sorted(days)]
    steps = np.diff(ordered, axis=0)
    assert (steps >= 0).all() if definition == "cancellation" else (steps <= 0).all()
    again = make_coherent(probability[main], main, coherent, definition)
    assert all(np.array_equal(again[length], coherent[length]) for length in others)
