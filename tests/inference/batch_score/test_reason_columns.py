"""The strongest reasons are found, and features of a log worded, as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worded_signature import WORDED

from churn_mlops.inference.batch_score.reason_columns import ReasonWriter, find_strongest
from churn_mlops.inference.reasons import Explainer
from churn_mlops.models.signature import Feature, Signature


@pytest.mark.parametrize("count", [1, 3, 8, 9, 12])
def test_the_strongest_are_found_in_their_order(count: int) -> None:
    """As a stable sort by size finds them, with many equals."""
    contributions = np.random.default_rng(0).integers(-3, 4, (500, 12)).astype(np.float32)
    expected = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(find_strongest(contributions, count), expected)


PLAIN = Feature(name="age", kind="numeric", minimum=0, maximum=90, typical=40.5)
NUMBERS = Signature(features=(*WORDED.features[:-1], PLAIN))
WRITER, EXPLAINER = ReasonWriter(NUMBERS, 0), Explainer(NUMBERS)


def figures(least: float, most: float) -> st.SearchStrategy[float | None]:
    """Numbers of some size, whole ones, extreme ones, and none."""
    extremes = st.sampled_from([-0.0, 1.0, 1.04, 0.99, 0.9999996, 1e300, -1e300, 1e9, 999_999_999.96])
    return st.none() | st.floats(least, most) | st.integers(int(least), int(most)).map(float) | extremes


@given(
    st.lists(
        st.tuples(
            *(
                figures(low, high)
                for low, high in ((0, 99), (0, 2000), (0, 1), (0, 20), (-5000, 5000), (-60, 60), (-9, 99))
            )
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([1.0, -1.0, 0.0]),
)
@settings(deadline=None, database=None, max_examples=100)
def test_features_of_a_log_are_worded_as_one_by_one(rows: list[tuple[float | None, ...]], size: float) -> None:
    """Counts, days, shares, ratios, amounts, plain numbers, and trends whose texts may name another feature's value."""
    values = [np.array([np.nan if value is None else value for value in column]) for column in zip(*rows, strict=True)]
    contributions = np.full((len(rows), len(values)), size, dtype=np.float32)
    columns = WRITER.explain(values, contributions)
    for row, given_values in enumerate(rows):
        named = dict(zip(NUMBERS.names, given_values, strict=True))
        expected = [reason["text"] for reason in EXPLAINER.explain(named, [size] * len(values), 0)]
        assert [column.texts[row].as_py() for column in columns] == expected
