"""The signature: what each feature may hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from churn_mlops.models.signature import LARGEST_NUMBER, Feature, Signature

PLAN = Feature(
    name="plan",
    kind="categorical",
    categories=("month", "year"),
    other_code=0.5,
    rare_categories=("week",),
    typical="year",
)
TENURE = Feature(name="tenure", kind="numeric", minimum=0, maximum=72, typical=0.1)
PAPERLESS = Feature(name="paperless", kind="boolean", typical=True)
EMPTY = Feature(name="empty", kind="numeric")


def test_codes_count_the_categories() -> None:
    """The code of a category is its position."""
    assert PLAN.codes == {"month": 0, "year": 1}


@pytest.mark.parametrize(
    ("feature", "value", "code"),
    [
        (PLAN, "month", 0),
        (PLAN, "year", 1),
        (PLAN, "week", 0.5),
        (PLAN, "century", 0.5),
        (PAPERLESS, True, 1),
        (PAPERLESS, False, 0),
        (TENURE, 71.5, 71.5),
        (TENURE, 1e300, LARGEST_NUMBER),
        (TENURE, -1e300, -LARGEST_NUMBER),
    ],
)
def test_a_value_becomes_a_number(feature: Feature, value: bool | float | str, code: float) -> None:
    """A category becomes its code or the other one, a boolean 0 or 1, and a number itself within float32."""
    assert feature.encode(value) == code


@pytest.mark.parametrize("feature", [PLAN, PAPERLESS, TENURE], ids=lambda feature: str(feature.kind))
def test_a_missing_value_is_nan_for_every_kind(feature: Feature) -> None:
    """It is told from every code and number."""
    assert math.isnan(feature.encode(None))


def test_the_reference_customer_is_typical_in_everything() -> None:
    """Each feature has its typical value as the graph sees it: rounded to float32, and NaN where there was none."""
    row = Signature(features=(PLAN, TENURE, PAPERLESS, EMPTY)).reference_row()
    np.testing.assert_array_equal(row, [1, float(np.float32(0.1)), 1, np.nan])


@pytest.mark.parametrize(
    ("category", "unseen"), [("month", False), ("week", False), ("Month", True), ("", True), ("century", True)]
)
def test_only_what_training_never_held_is_unseen(category: str, unseen: bool) -> None:
    """A rare category was seen; another spelling was not."""
    assert PLAN.is_unseen(category) is unseen


@pytest.mark.parametrize(("value", "outside"), [(0, False), (72, False), (-0.1, True), (72.1, True), (1e308, True)])
def test_the_ends_of_the_range_are_inside(value: float, outside: bool) -> None:
    """Only a number below the smallest or above the largest is out of range."""
    assert TENURE.is_out_of_range(value) is outside


def test_nothing_is_out_of_a_range_that_is_not_known() -> None:
    """A feature that was always missing has no range to leave."""
    assert not EMPTY.is_out_of_range(1e308)


def test_a_signature_survives_json() -> None:
    """Written and read again, a signature is the same, the type of each typical value included."""
    signature = Signature(
        features=(
            PLAN.model_copy(update={"typical": "1"}),
            TENURE.model_copy(update={"typical": 1.0}),
            PAPERLESS,
        )
    )
    again = Signature.model_validate_json(signature.model_dump_json())
    assert again == signature
    assert [type(feature.typical) for feature in again.features] == [str, float, bool]


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ((), "at least 1 item"),
        ((TENURE, PLAN, TENURE), "stands twice"),
        ((TENURE.model_dump() | {"missing_share": 1.1},), "less than or equal to 1"),
        ((TENURE.model_dump() | {"kind": "date"},), "'numeric', 'categorical' or 'boolean'"),
        ((TENURE.model_dump() | {"unit": "months"},), "Extra inputs"),
    ],
)
def test_what_is_no_signature_is_refused(features: tuple[object, ...], problem: str) -> None:
    """No feature, a name that stands twice, and unknown or impossible values are errors that say so."""
    with pytest.raises(ValidationError, match=problem):
        Signature.model_validate({"features": features})
