"""One customer is encoded exactly as a frame of customers is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.inference.encoding import CustomerEncoder, InputQuality, Value
from churn_mlops.models.frame_encoder import FrameEncoder
from churn_mlops.models.parity import build_edge_rows
from churn_mlops.models.signature import Feature, Signature

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.training.job import TrainedVersion

SIGNATURE = Signature(
    features=(
        Feature(name="age", kind="numeric", minimum=18, maximum=90, typical=40.0),
        Feature(
            name="plan", kind="categorical", categories=("basic", "plus"), other_code=0.5, rare_categories=("gold",)
        ),
        Feature(name="paperless", kind="boolean", typical=True),
        Feature(name="empty", kind="numeric"),
    )
)


def customers(frame: pd.DataFrame, signature: Signature) -> list[dict[str, Value]]:
    """Write a frame's rows as clients would send them."""
    native: dict[str, Any] = {"numeric": float, "boolean": bool, "categorical": str}
    columns = [
        [None if pd.isna(value) else native[feature.kind](value) for value in frame[feature.name]]
        for feature in signature.features
    ]
    return [dict(zip(signature.names, row, strict=True)) for row in zip(*columns, strict=True)]


def encode_all(frame: pd.DataFrame, signature: Signature) -> npt.NDArray[np.float32]:
    """Encode a frame's rows one by one."""
    encoder = CustomerEncoder(signature)
    return np.array([encoder.encode(values)[0] for values in customers(frame, signature)], dtype=np.float32)


def encode(values: list[Value]) -> tuple[list[float], InputQuality]:
    """Encode a customer of SIGNATURE."""
    return CustomerEncoder(SIGNATURE).encode(dict(zip(SIGNATURE.names, values, strict=True)))


def quality(**named: list[str]) -> InputQuality:
    """Name the features of which something is to be told."""
    return InputQuality(
        missing=named.get("missing", []),
        unseen_category=named.get("unseen_category", []),
        out_of_range=named.get("out_of_range", []),
    )


def test_every_customer_of_the_sample_is_encoded_as_in_training(
    sample_version: TrainedVersion, sample_estimator: ChurnModel, sample_features: pd.DataFrame
) -> None:
    """On all 7,043 rows, CustomerEncoder gives what FrameEncoder gives, bit for bit."""
    expected = sample_estimator.encoder_.transform(sample_features)
    found = encode_all(sample_features, sample_version.manifest.signature)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_edge_rows_are_encoded_as_in_training(sample_version: TrainedVersion, sample_estimator: ChurnModel) -> None:
    """On missing, unseen, rare and extreme values, CustomerEncoder gives what FrameEncoder gives."""
    edge_rows = build_edge_rows(sample_version.manifest.signature)
    expected = sample_estimator.encoder_.transform(edge_rows)
    found = encode_all(edge_rows, sample_version.manifest.signature)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None, database=None, max_examples=200)
def test_any_number_is_encoded_as_in_training_and_stays_finite(number: float) -> None:
    """No finite number becomes another one than in training, nor infinite."""
    frame = pd.DataFrame({"age": [number]})
    encoder = FrameEncoder({"age": "numeric"}).fit(frame, [True])
    row, _ = CustomerEncoder(encoder.signature_).encode({"age": number})
    encoded = np.array([row], dtype=np.float32)
    assert np.isfinite(encoded).all()
    np.testing.assert_array_equal(encoded, encoder.transform(frame).astype(np.float32))


def test_each_kind_has_its_encoding() -> None:
    """A number is itself, a category its place, a boolean 0 or 1, and missing NaN."""
    row, _ = encode([35.5, "plus", True, None])
    np.testing.assert_array_equal(row, [35.5, 1, 1, np.nan])


@pytest.mark.parametrize("category", ["gold", "never seen", "", "BASIC", "basic "])
def test_a_category_without_a_code_is_another_one(category: str) -> None:
    """Rare and unseen categories share one code; texts match to the letter."""
    row, _ = encode([35, category, False, None])
    assert row[1] == 0.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([35, "basic", True, 1], quality()),
        ([18, "plus", False, -1e300], quality()),
        ([90, "gold", False, 1], quality()),
        ([17.9, "basic", True, 1], quality(out_of_range=["age"])),
        ([90.1, "never seen", True, 1], quality(out_of_range=["age"], unseen_category=["plan"])),
        ([None, None, None, None], quality(missing=["age", "plan", "paperless", "empty"])),
    ],
)
def test_the_quality_of_the_input_is_reported(values: list[Value], expected: InputQuality) -> None:
    """Missing, never seen and out of range are told apart; a rare category and the ends of a range are fine."""
    assert encode(values)[1] == expected


def test_customers_are_encoded_by_columns_as_each_alone() -> None:
    """Codes, ends of the numbers and quality, for every mixture of what is fine, unseen, rare, missing and far out."""
    rows: list[list[Value]] = [
        [age, plan, paperless, empty]
        for age in (35, 17.9, 1e300, None)
        for plan in ("plus", "gold", "never seen", None)
        for paperless in (True, False, None)
        for empty in (1.5, None)
    ]
    matrix, qualities = CustomerEncoder(SIGNATURE).encode_columns(list(zip(*rows, strict=True)))
    for row, encoded, found in zip(rows, matrix, qualities, strict=True):
        alone, expected = encode(row)
        np.testing.assert_array_equal(encoded, np.array(alone, dtype=np.float32))
        assert found == expected


def test_an_absent_feature_is_missing() -> None:
    """A feature that is not sent is one that is null."""
    encoder = CustomerEncoder(SIGNATURE)
    assert encoder.encode({"plan": "plus"})[1]["missing"] == ["age", "paperless", "empty"]
    np.testing.assert_array_equal(encoder.encode({"plan": "plus"})[0], encode([None, "plus", None, None])[0])
