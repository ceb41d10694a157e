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
CHURNED = np.array([True, False, True, False, False])
FITTED = FrameEncoder({"tenure": "numeric", "paperless": "boolean", "plan": "categorical"}, rare_category_rows=1)
FITTED.fit(TRAINING, CHURNED)


def test_the_training_rows_become_numbers_codes_and_nan() -> None:
    """Numbers stay, booleans are 0 and 1, categories their place by churn rate, and missing is NaN."""
    expected = [[1, 1, 2], [5, NAN, 1], [NAN, 1, 2], [3, 0, NAN], [72, 1, 0]]
    np.testing.assert_array_equal(FITTED.transform(TRAINING), expected)


def test_fit_describes_every_feature() -> None:
    """The signature holds kinds, ranges, categories, typical values and missing shares."""
    assert FITTED.signature_.features == (
        Feature(name="tenure", kind="numeric", minimum=1, maximum=72, typical=4, missing_share=0.2),
        Feature(name="paperless", kind="boolean", typical=True, missing_share=0.2),
        Feature(
            name="plan",
            kind="categorical",
            categories=("two years", "year", "month"),
            other_code=1.5,
            typical="month",
            missing_share=0.2,
        ),
    )


def test_transform_learns_nothing() -> None:
    """New categories, larger numbers and more missing values leave the signature as it was."""
    encoder = FrameEncoder(FITTED.kinds, 1).fit(TRAINING, CHURNED)
    strange = pd.DataFrame({"tenure": [999.0], "paperless": pd.Series([None], dtype="boolean"), "plan": ["century"]})
    encoder.transform(strange)
    assert encoder.signature_ == FITTED.signature_


def _fit_plans(*counts: tuple[str | None, int, int], rare_category_rows: int = 2) -> FrameEncoder:
    """Fit on plans, of each so many customers who left and who stayed."""
    plans = pd.Series([plan for plan, left, stayed in counts for _ in range(left + stayed)], dtype="str")
    churned = [place < left for _, left, stayed in counts for place in range(left + stayed)]
    return FrameEncoder({"plan": "categorical"}, rare_category_rows).fit(pd.DataFrame({"plan": plans}), churned)


def test_rare_and_unseen_categories_share_a_code() -> None:
    """A category below the limit has the other code, as has one never seen; the limit itself is enough."""
    encoder = _fit_plans(("a", 0, 3), ("b", 2, 0), ("c", 0, 1), (None, 0, 1))
    plans = pd.DataFrame({"plan": ["a", "b", "c", "d", None]})
    np.testing.assert_array_equal(encoder.transform(plans), [[0], [1], [0.5], [0.5], [NAN]])
    assert encoder.signature_.features[0].rare_categories == ("c",)


def test_codes_follow_the_churn_rate() -> None:
    """The lowest rate comes first; equal rates are in the order of the alphabet."""
    encoder = _fit_plans(("a", 50, 50), ("b", 90, 10), ("c", 10, 90), ("e", 50, 50), ("d", 50, 50))
    assert encoder.signature_.features[0].categories == ("c", "a", "d", "e", "b")


def test_few_customers_move_a_category_little() -> None:
    """Three of three who left are no reason to stand above 800 of 1,000."""
    encoder = _fit_plans(("few", 3, 0), ("many", 800, 200), ("most", 0, 1000))
    assert encoder.signature_.features[0].categories == ("most", "few", "many")


@pytest.mark.parametrize(
    ("rare_left", "rare_stayed", "other_code"),
    [(0, 0, 0.5), (0, 40, -0.5), (10, 10, 0.5), (40, 0, 1.5), (1, 0, 0.5)],
)
def test_other_categories_stand_where_their_churn_rate_is(rare_left: int, rare_stayed: int, other_code: float) -> None:
    """Rare ones are placed among the others by the rate they share; with none or hardly any, by the overall rate."""
    rare = [(f"r{place}", int(place < rare_left), int(place >= rare_left)) for place in range(rare_left + rare_stayed)]
    feature = _fit_plans(("low", 200, 800), ("high", 800, 200), *rare).signature_.features[0]
    assert (feature.categories, feature.other_code) == (("low", "high"), other_code)


def test_outcomes_belong_to_rows_whatever_the_index() -> None:
    """A frame cut out of another one, and missing values in between, shift no outcome to another row."""
    plans = pd.DataFrame({"plan": ["a", None, "b", "a", "b"]}, index=[7, 3, 9, 1, 0])
    encoder = FrameEncoder({"plan": "categorical"}, 1).fit(plans, [True, False, False, True, False])
    assert encoder.signature_.features[0].categories == ("b", "a")


def test_only_the_most_frequent_categories_get_a_code() -> None:
    """Beyond the limit the most frequent keep a code, the next are listed as rare, and the rest are not listed."""
    texts = [f"t{place:05}" for place in range(2 * MAX_CATEGORIES + 5)]
    plans = pd.DataFrame({"plan": [*texts, *texts[:MAX_CATEGORIES]]})
    feature = (
        FrameEncoder({"plan": "categorical"}, rare_category_rows=1)
        .fit(plans, np.zeros(len(plans)))
        .signature_.features[0]
    )
    assert feature.categories == tuple(texts[:MAX_CATEGORIES])
    assert len(feature.rare_categories) == MAX_CATEGORIES


@pytest.mark.parametrize("number", [1e300, LARGEST_NUMBER, 1e39])
def test_huge_numbers_become_the_largest_of_the_graph(number: float) -> None:
    """Nothing becomes infinite in float32, on either side."""
    row = pd.DataFrame({"tenure": [number, -number]})
    matrix = FrameEncoder({"tenure": "numeric"}).fit(row, [True, False]).transform(row)
    np.testing.assert_array_equal(matrix, [[LARGEST_NUMBER], [-LARGEST_NUMBER]])


def test_numbers_are_those_that_the_graph_will_see() -> None:
    """Every number is one of float32, so the estimator is fitted on exactly what is served."""
    numbers = pd.DataFrame({"tenure": np.random.default_rng(0).normal(0, 1e6, 100)})
    matrix = FrameEncoder({"tenure": "numeric"}).fit(numbers, np.arange(100) % 2).transform(numbers)
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
    encoder = FrameEncoder({"empty": kind}).fit(frame, [True, False])
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
