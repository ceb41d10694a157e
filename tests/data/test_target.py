"""The target column: labels in any type, and rows that do not say."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.target import Target, read_target
from churn_mlops.errors import DataError


def read(values: list[Any] | pa.Array, positive: Any, **overrides: Any) -> Target:
    """Read a target column by its positive label."""
    settings = DataSettings.model_validate({"target": "churn", "positive_label": positive, **overrides})
    return read_target(pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)]), settings)


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (["Yes", "No"], "Yes"),
        ([" Yes ", "No"], "Yes"),
        (["1", "0"], 1),
        (["1.0", "0.0"], 1),
        ([1, 0], "1"),
        ([1.0, 0.0], 1),
        ([1, 0], 1.0),
        ([1, 0], "1.0"),
        ([True, False], True),
        ([True, False], "true"),
        ([True, False], "TRUE"),
        (["TRUE", "FALSE"], True),
        (["left", "stayed"], "left"),
        (pa.array(["Yes", "No"]).dictionary_encode(), "Yes"),
    ],
)
def test_a_label_is_known_in_every_type(values: list[Any] | pa.Array, positive: object) -> None:
    """1, 1.0 and "1" are one label, as are true and "TRUE"; blanks around a text do not count."""
    target = read(values, positive)
    assert (target.churned.tolist(), target.rejected) == ([True, False], {})


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_a_null_is_missing_whatever_the_texts_for_missing(absent: float | None) -> None:
    """An empty cell of a typed column is a missing target even if no text means missing."""
    target = read(pa.array([1.0, 0.0, absent]), 1, missing_values=[])
    assert target.rejected == {2: "the target 'churn' is missing."}


def test_a_rejected_row_is_no_churner() -> None:
    """A row without a usable outcome counts on neither side."""
    target = read(["Yes", "No", "", "Maybe"], "Yes", negative_label="No")
    assert target.churned.tolist() == [True, False, False, False]
    assert set(target.rejected) == {2, 3}


def test_labels_differ_by_case() -> None:
    """`yes` is not `Yes`: a label is what stands in the table."""
    with pytest.raises(DataError, match=r"data.positive_label is 'yes'.*'Yes' \(1 rows\)"):
        read(["Yes", "No"], "yes")


def test_many_values_are_listed_by_frequency_and_cut() -> None:
    """A wrong column named as target gives a sentence, not a page."""
    with pytest.raises(DataError, match=r"its values are 'x7' \(3 rows\), 'x0' \(1 rows\).* and 2 more\.$"):
        read([f"x{number}" for number in range(12)] + ["x7", "x7"], "Yes")
