"""Tensors of each kind of feature, where the sample has none of that kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from churn_mlops.api.open_inference.model import TensorModel
from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.models.signature import Feature, Signature

PLAN = Feature(name="plan", kind="categorical", categories=("", "plus"))
SIGNATURE = Signature(features=(Feature(name="paperless", kind="boolean"), PLAN))
MODEL = TensorModel(SIGNATURE, "threshold")


def tensor(name: str, datatype: str, data: list[Any] | None) -> Any:
    """Make a tensor of three rows."""
    return {"name": name, "datatype": datatype, "shape": [3], "data": data}


@pytest.mark.parametrize(
    ("datatype", "data", "values"),
    [
        ("BOOL", [True, False, None], [True, False, None]),
        ("INT8", [1, 0, None], [True, False, None]),
        ("UINT64", [1, 0, 1], [True, False, True]),
        ("FP32", [1.0, 0, float("nan")], [True, False, None]),
    ],
)
def test_a_boolean_may_come_as_a_number(datatype: str, data: list[Any], values: list[Any]) -> None:
    """1 is true and 0 is false; a number can also be missing, which a BOOL in binary form cannot."""
    assert MODEL.read(tensor("paperless", datatype, data), None) == values


@pytest.mark.parametrize(("datatype", "data", "shown"), [("INT64", [1, 0, 2], "2"), ("FP64", [1, 0, 0.5], "0.5")])
def test_another_number_is_no_boolean(datatype: str, data: list[Any], shown: str) -> None:
    """It is refused by row."""
    with pytest.raises(FeatureSchemaMismatch, match=f"'paperless', row 2, is {shown}; true, false, 1, 0 or"):
        MODEL.read(tensor("paperless", datatype, data), None)


def test_binary_booleans_are_a_byte_each() -> None:
    """1 is true and 0 is false, and any other byte is refused."""
    assert MODEL.read(tensor("paperless", "BOOL", None), memoryview(b"\1\0\1")) == [True, False, True]
    with pytest.raises(FeatureSchemaMismatch, match="'paperless', row 1, is 7"):
        MODEL.read(tensor("paperless", "BOOL", None), memoryview(b"\1\7\1"))


def test_an_empty_text_may_be_a_category() -> None:
    """Where training knew the empty text as a category, it is one."""
    assert MODEL.read(tensor("plan", "BYTES", ["", "plus", None]), None) == ["", "plus", None]


def test_half_floats_are_read() -> None:
    """FP16 is read in binary form too."""
    numbers = np.array([1, 0, np.nan], "<f2").tobytes()
    assert MODEL.read(tensor("paperless", "FP16", None), memoryview(numbers)) == [True, False, None]
