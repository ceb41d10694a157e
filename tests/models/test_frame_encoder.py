"""The encoder: fit learns, transform never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from churn_mlops.models.frame_encoder import MAX_CATEGORIES, FrameEncoder
from churn_mlops.models.signature import LARGEST_NUMBER, Feature

if TYPE_CHECKING:
    from churn_mlops.config.settings import Kind

NAN = float("nan")

TRAINING = pd.DataFrame(
    {
        "tenure": pd.Series([1.0, 5.0, None, 3.0, 72.0]),
        "paperless": pd.Series([True, None, True, False, True], dtype="boolean"),
        "plan": pd.Series(["month", "year", "month", None, "two years"], dtype="category"),
    }
)
FITTED = FrameEncoder({"tenure": "numeric", "paperless": "boolean", "plan": "categorical"}, rare_category_rows=1)
FITTED.fit(TRAINING)


def test_the_training_rows_become_numbers_codes_and_nan() -> None:
    """Numbers stay, booleans are 0 and 1, categories their place in the alphabet, and missing is NaN."""
    expected = [[1, 1, 0], [5, NAN, 2], [NAN, 1, 0], [3, 0, NAN], [72, 1, 1]]
    np.testing.assert_array_equal(FITTED.transform(TRAINING), expected)


def test_fit_describes_every_feature() -> None:
    """The signature holds kinds, ranges, categories, typical values and missing shares."""
    assert FITTED.signature_.features == (
        Feature(name="tenure", kind="numeric", minimum=1, maximum=72, typical=4, missing_share=0.2),
        Feature(name="paperless", kind="boolean", typical=True, missing_share=0.2),
        Feature(
            name="plan",
            kind="categorical",
            categories=("month", "two years", "year"),
            typical="month",
            missing_share=0.2,
        ),
    )


def test_transform_learns_nothing() -> None:
    """New categories, larger numbers and more missing values leave the signature as it was."""
    encoder = FrameEncoder(FITTED.kinds, 1).fit(TRAINING)
    strange = pd.DataFrame({"tenure": [999.0], "paperless": pd.Series([None], dtype="boolean"), "plan": ["century"]})
    encoder.transform(strange)
    assert encoder.signature_ == FITTED.signature_


def test_rare_and_unseen_categories_share_a_code() -> None:
    """A category below the limit is -1, as is one never seen; missing stays NaN and the limit itself is enough."""
    plans = pd.DataFrame({"plan": ["a", "a", "a", "b", "b", "c", None]})
    encoder = FrameEncoder({"plan": "categorical"}, rare_category_rows=2).fit(plans)
    np.testing.assert_array_equal(
        encoder.transform(pd.DataFrame({"plan": ["a", "b", "c", "d", None]})), [[0], [1], [-1], [-1], [NAN]]
    )
    assert encoder.signature_.features[0].rare_categories == ("c",)


def test_only_the_most_frequent_categories_get_a_code() -> None:
    """Beyond the limit the most frequent keep a code, the next are listed as rare, and the rest are not listed."""
    texts = [f"t{place:05}" for place in range(2 * MAX_CATEGORIES + 5)]
    plans = pd.DataFrame({"plan": [*texts, *texts[:MAX_CATEGORIES]]})
    feature = FrameEncoder({"plan": "categorical"}, rare_category_rows=1).fit(plans).signature_.features[0]
    assert feature.categories == tuple(texts[:MAX_CATEGORIES])
    assert len(feature.rare_categories) == MAX_CATEGORIES


@pytest.mark.parametrize("number", [1e300, LARGEST_NUMBER, 1e39])
def test_huge_numbers_become_the_largest_of_the_graph(number: float) -> None:
    """Nothing becomes infinite in float32, on either side."""
    row = pd.DataFrame({"tenure": [number, -number]})
    matrix = FrameEncoder({"tenure": "numeric"}).fit(row).transform(row)
    np.testing.assert_array_equal(matrix, [[LARGEST_NUMBER], [-LARGEST_NUMBER]])


def test_numbers_are_those_that_the_graph_will_see() -> None:
    """Every number is one of float32, so the estimator is fitted on exactly what is served."""
    numbers = pd.DataFrame({"tenure": np.random.default_rng(0).normal(0, 1e6, 100)})
    matrix = FrameEncoder({"tenure": "numeric"}).fit(numbers).transform(numbers)
    assert (matrix == matrix.astype(np.float32)).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("numeric", pd.Series([None, None], dtype="float64")),
        ("boolean", pd.Series([None, None], dtype="boolean")),
        ("categorical", pd.Series([None, None], dtype="str")),
    ],
)
def test_a_feature_that_is_always_missing_is_all_nan(kind: Kind, values: pd.Series) -> None:
    """It has no range, no category and no typical value, and breaks nothing."""
    frame = pd.DataFrame({"empty": values})
    encoder = FrameEncoder({"empty": kind}).fit(frame)
    assert np.isnan(encoder.transform(frame)).all()
    assert encoder.signature_.features == (Feature(name="empty", kind=kind, missing_share=1),)


def test_the_columns_of_a_frame_may_come_in_any_order() -> None:
    """Columns are taken by name, and those that are no feature are left alone."""
    shuffled = TRAINING[["plan", "tenure", "paperless"]].assign(extra="x")
    np.testing.assert_array_equal(FITTED.transform(shuffled), FITTED.transform(TRAINING))


def test_the_columns_of_the_matrix_are_named() -> None:
    """scikit-learn is told which column of the matrix is which feature."""
    assert list(FITTED.get_feature_names_out()) == ["tenure", "paperless", "plan"]


def test_an_encoder_that_learnt_nothing_refuses() -> None:
    """Transform before fit is an error, not an empty matrix."""
    with pytest.raises(NotFittedError):
        FrameEncoder({"tenure": "numeric"}).transform(TRAINING)
