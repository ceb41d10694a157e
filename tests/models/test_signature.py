"""The signature: what each feature may hold."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from churn_mlops.models.signature import Feature, Signature

PLAN = Feature(name="plan", kind="categorical", categories=("month", "year"), rare_categories=("week",))
TENURE = Feature(name="tenure", kind="numeric", minimum=0, maximum=72)


def test_codes_count_the_categories() -> None:
    """The code of a category is its position."""
    assert PLAN.codes == {"month": 0, "year": 1}


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
    assert not Feature(name="empty", kind="numeric").is_out_of_range(1e308)


def test_a_signature_survives_json() -> None:
    """Written and read again, a signature is the same, the type of each typical value included."""
    signature = Signature(
        features=(
            PLAN.model_copy(update={"typical": "1"}),
            TENURE.model_copy(update={"typical": 1.0}),
            Feature(name="paperless", kind="boolean", typical=True),
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
