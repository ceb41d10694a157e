"""One customer is encoded exactly as a frame of customers is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.inference.encoding import InputQuality, Value, encode_customer
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


def customers(frame: pd.DataFrame, signature: Signature) -> list[list[Value]]:
    """Write a frame's rows as clients would send them."""
    native: dict[str, Any] = {"numeric": float, "boolean": bool, "categorical": str}
    columns = [
        [None if pd.isna(value) else native[feature.kind](value) for value in frame[feature.name]]
        for feature in signature.features
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def encode_all(frame: pd.DataFrame, signature: Signature) -> npt.NDArray[np.float32]:
    """Encode a frame's rows one by one."""
    return np.vstack([encode_customer(signature, values)[0] for values in customers(frame, signature)])


def test_every_customer_of_the_sample_is_encoded_as_in_training(
    sample_version: TrainedVersion, sample_estimator: ChurnModel, sample_features: pd.DataFrame
) -> None:
    """On all 7,043 rows, encode_customer gives what FrameEncoder gives, bit for bit."""
    expected = sample_estimator.encoder_.transform(sample_features)
    found = encode_all(sample_features, sample_version.manifest.signature)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_edge_rows_are_encoded_as_in_training(sample_version: TrainedVersion, sample_estimator: ChurnModel) -> None:
    """On missing, unseen, rare and extreme values, encode_customer gives what FrameEncoder gives."""
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
    row, _ = encode_customer(encoder.signature_, [number])
    assert np.isfinite(row).all()
    np.testing.assert_array_equal(row, encoder.transform(frame).astype(np.float32))


def test_each_kind_has_its_encoding() -> None:
    """A number is itself, a category its place, a boolean 0 or 1, and missing NaN, as float32 [1, features]."""
    row, _ = encode_customer(SIGNATURE, [35.5, "plus", True, None])
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row, [[35.5, 1, 1, np.nan]])


@pytest.mark.parametrize("category", ["gold", "never seen", "", "BASIC", "basic "])
def test_a_category_without_a_code_is_another_one(category: str) -> None:
    """Rare and unseen categories share one code; texts match to the letter."""
    row, _ = encode_customer(SIGNATURE, [35, category, False, None])
    assert row[0, 1] == 0.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([35, "basic", True, 1], InputQuality()),
        ([18, "plus", False, -1e300], InputQuality()),
        ([90, "gold", False, 1], InputQuality()),
        ([17.9, "basic", True, 1], InputQuality(out_of_range=["age"])),
        ([90.1, "never seen", True, 1], InputQuality(out_of_range=["age"], unseen_category=["plan"])),
        ([None, None, None, None], InputQuality(missing=["age", "plan", "paperless", "empty"])),
    ],
)
def test_the_quality_of_the_input_is_reported(values: list[Value], expected: InputQuality) -> None:
    """Missing, never seen and out of range are told apart; a rare category and the ends of a range are fine."""
    assert encode_customer(SIGNATURE, values)[1] == expected


@pytest.mark.parametrize("values", [[], [1, "basic", True], [1, "basic", True, 1, 1]])
def test_a_wrong_number_of_values_is_a_mistake_of_the_caller(values: list[Value]) -> None:
    """Values are never silently matched to the wrong features."""
    with pytest.raises(ValueError, match="zip"):
        encode_customer(SIGNATURE, values)
