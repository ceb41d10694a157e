"""Numbers are written, and the strongest reasons found, as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.inference.batch_score.reason_columns import find_strongest, show_numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e3, 1e3), min_size=1))
@settings(deadline=None, database=None, max_examples=500)
def test_any_number_is_written_as_python_writes_it(numbers: list[float]) -> None:
    """With six digits, separators of thousands, and an exponent where it is very large or small."""
    assert show_numbers(np.array(numbers)).to_pylist() == [f"{number:,.6g}" for number in numbers]


@given(st.integers(0, 10**7), st.integers(-9, 3), st.integers(-3, 3))
@settings(deadline=None, database=None, max_examples=500)
def test_numbers_around_the_middle_of_two_roundings_are_written_alike(whole: int, power: int, ulps: int) -> None:
    """Where the seventh digit is a five, and right beside it."""
    number = (whole + 0.5) * 10.0**power
    for _ in range(abs(ulps)):
        number = float(np.nextafter(number, np.inf if ulps > 0 else -np.inf))
    assert show_numbers(np.array([number])).to_pylist() == [f"{number:,.6g}"]


@pytest.mark.parametrize("count", [1, 3, 8, 9, 12])
def test_the_strongest_are_found_in_their_order(count: int) -> None:
    """As a stable sort by size finds them, with many equals."""
    contributions = np.random.default_rng(0).integers(-3, 4, (500, 12)).astype(np.float32)
    expected = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(find_strongest(contributions, count), expected)
