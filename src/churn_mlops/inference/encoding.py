"""From a customer's feature values to the row that the graph takes, and what is worth knowing about them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import TypedDict

from churn_mlops.models.signature import LARGEST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from churn_mlops.models.signature import Feature, Signature

Value = bool | float | str | None
"""A feature's value as a client sends it: of the feature's kind, or None where it is missing."""


class InputQuality(TypedDict):
    """Names of the features that are missing, hold a category never seen, or lie outside the range seen."""

    missing: list[str]
    unseen_category: list[str]
    out_of_range: list[str]


class CustomerEncoder:
    """Encodes customers, one by one or many at once, exactly as `FrameEncoder` encodes a frame of them.

    Args:
        signature: the features.
    """

    def __init__(self, signature: Signature) -> None:
        self._features = tuple(map(_unfold, signature.features))
        ranges = np.array([range_of(feature) for feature in signature.features])
        self._minima, self._maxima = ranges[:, :1], ranges[:, 1:]

    def encode(self, values: Mapping[str, Value]) -> tuple[list[float], InputQuality]:
        """Encode one customer.

        Args:
            values: by feature, each of its feature's kind or None; one that is absent is missing.

        Returns:
            A number for each feature, within float32, and the quality of the input.
        """
        quality = InputQuality(missing=[], unseen_category=[], out_of_range=[])
        row: list[float] = []
        for name, codes, other_code, minimum, maximum, had_range in self._features:
            value: Any = values.get(name)
            if codes is not None and (code := codes.get(value)) is not None:
                row.append(code)
            elif value is None:
                quality["missing"].append(name)
                row.append(math.nan)
            elif codes is not None:
                quality["unseen_category"].append(name)
                row.append(other_code)
            elif minimum <= value <= maximum:
                row.append(value)
            else:
                if had_range:
                    quality["out_of_range"].append(name)
                row.append(min(max(value, -LARGEST_NUMBER), LARGEST_NUMBER))
        return row, quality

    def encode_columns(self, columns: Sequence[Sequence[Value]]) -> tuple[npt.NDArray[np.float32], list[InputQuality]]:
        """Encode many customers, column by column: each as `encode` would.

        Args:
            columns: the customers' values of each feature, in the signature's order.

        Returns:
            float32 [customers, features], and the quality of each customer's input; those of whom there is nothing to
            say share one.
        """
        given = [
            values if codes is None else list(map(codes.get, values))
            for (_, codes, *_), values in zip(self._features, columns, strict=True)
        ]
        # None becomes NaN, which is in no range: a missing value, and a category without a code
        numbers = np.array(given, dtype=np.float64)
        fine = (self._minima <= numbers) & (numbers <= self._maxima)
        notes = _Notes(numbers.shape[1])
        for place in np.flatnonzero(~fine.all(axis=1)).tolist():
            name, codes, other_code, _, _, had_range = self._features[place]
            missing = np.array([value is None for value in columns[place]])
            unlike = ~fine[place] & ~missing
            notes.add("missing", name, missing)
            if codes is not None:
                notes.add("unseen_category", name, unlike)
                numbers[place, unlike] = other_code
            elif had_range:
                notes.add("out_of_range", name, unlike)
        return np.clip(numbers, -LARGEST_NUMBER, LARGEST_NUMBER).T.astype(np.float32, order="C"), notes.qualities


class _Notes:
    """What is worth knowing about the input of many customers; those of whom that is nothing share one quality."""

    def __init__(self, customers: int) -> None:
        self._nothing = InputQuality(missing=[], unseen_category=[], out_of_range=[])
        self.qualities = [self._nothing] * customers

    def add(
        self, what: Literal["missing", "unseen_category", "out_of_range"], name: str, flags: npt.NDArray[np.bool_]
    ) -> None:
        """Note it of a feature of the customers who are flagged, bool [customers]."""
        for place in np.flatnonzero(flags).tolist():
            if self.qualities[place] is self._nothing:
                self.qualities[place] = InputQuality(missing=[], unseen_category=[], out_of_range=[])
            self.qualities[place][what].append(name)


def _unfold(feature: Feature) -> tuple[str, dict[Value, float] | None, float, float, float, bool]:
    """Give what `encode` needs of a feature, as plain values: they are looked at for each value of each customer."""
    return feature.name, codes_of(feature), feature.other_code, *range_of(feature), feature.minimum is not None


def codes_of(feature: Feature) -> dict[Value, float] | None:
    """Give the number that each value becomes, where a feature has few; None where it is numeric."""
    if feature.kind == "numeric":
        return None
    if feature.kind == "boolean":
        return {False: 0.0, True: 1.0}
    codes: dict[Value, float] = dict.fromkeys(feature.rare_categories, feature.other_code)
    codes.update((category, float(code)) for category, code in feature.codes.items())
    return codes


def range_of(feature: Feature) -> tuple[float, float]:
    """Give the range seen in training; where nothing was, any number is in it that float32 can hold."""
    if feature.minimum is None or feature.maximum is None:
        return -LARGEST_NUMBER, LARGEST_NUMBER
    return max(feature.minimum, -LARGEST_NUMBER), min(feature.maximum, LARGEST_NUMBER)
