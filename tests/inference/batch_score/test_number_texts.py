"""Many numbers are written at once as they are one by one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.inference.batch_score.number_texts import NUMBER_PIECES, join_pieces, split_numbers


def show_numbers(*numbers: float) -> list[str]:
    """Write numbers from their pieces."""
    places, others = split_numbers(np.array(numbers), len(NUMBER_PIECES))
    shown: list[str] = join_pieces(pa.concat_arrays([NUMBER_PIECES, others]), places).to_pylist()
    return shown


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**7), 10**7).map(float)


@given(st.lists(NUMBERS | st.floats(-1, 1) | st.floats(-1e3, 1e3) | st.floats(-2e6, 2e6), min_size=1))
@settings(deadline=None, database=None, max_examples=500)
def test_any_number_is_written_as_python_writes_it(numbers: list[float]) -> None:
    """With six digits, separators of thousands, and an exponent where it is very large or small."""
    assert show_numbers(*numbers) == [f"{number:,.6g}" for number in numbers]


@given(st.integers(0, 10**7), st.integers(-9, 3), st.integers(-3, 3))
@settings(deadline=None, database=None, max_examples=500)
def test_numbers_around_the_middle_of_two_roundings_are_written_alike(whole: int, power: int, ulps: int) -> None:
    """Where the seventh digit is a five, and right beside it."""
    number = (whole + 0.5) * 10.0**power
    for _ in range(abs(ulps)):
        number = float(np.nextafter(number, np.inf if ulps > 0 else -np.inf))
    assert show_numbers(number) == [f"{number:,.6g}"]


@pytest.mark.parametrize("number", [0.0, -0.0, 999_999.5, 999.9995, 1e-4, 9.99999e-5, 0.1, -1000.0, 100_000.25])
def test_numbers_at_the_ends_of_a_way_of_writing(number: float) -> None:
    """No digits, one more digit by rounding, the first separator, and the first exponent."""
    assert show_numbers(number, 1.5, number) == [f"{number:,.6g}", "1.5", f"{number:,.6g}"]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_pieces_are_joined_row_by_row(rows: int) -> None:
    """Also where all of them are empty, or there is no row."""
    table = pa.array(["", "a", "bc"])
    places = np.array([[1, 2], [0, 0], [2, 1]], dtype=np.int32)
    joined = join_pieces(table, places[:rows])
    joined.validate(full=True)
    assert joined.to_pylist() == ["abc", "", "bca"][:rows]
    assert join_pieces(table, places[1:2]).to_pylist() == [""]
