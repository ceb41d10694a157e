"""From one customer's feature values to the row that the graph takes, and what is worth knowing about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.models.signature import Signature

Value = bool | float | str | None
"""A feature's value as a client sends it: of the feature's kind, or None where it is missing."""


@dataclass(frozen=True, slots=True)
class InputQuality:
    """Names of the features that are missing, hold a category never seen, or lie outside the range seen."""

    missing: list[str] = field(default_factory=list)
    unseen_category: list[str] = field(default_factory=list)
    out_of_range: list[str] = field(default_factory=list)


def encode_customer(signature: Signature, values: Sequence[Value]) -> tuple[npt.NDArray[np.float32], InputQuality]:
    """Encode one customer exactly as `FrameEncoder` encodes a frame.

    Args:
        signature: the features.
        values: one per feature, in order, each of its feature's kind or None.

    Returns:
        float32 [1, features], and the quality of the input.
    """
    quality = InputQuality()
    row: list[float] = []
    for feature, value in zip(signature.features, values, strict=True):
        row.append(feature.encode(value))
        if value is None:
            quality.missing.append(feature.name)
        elif isinstance(value, str):
            if feature.is_unseen(value):
                quality.unseen_category.append(feature.name)
        elif feature.kind == "numeric" and feature.is_out_of_range(value):
            quality.out_of_range.append(feature.name)
    return np.array([row], dtype=np.float32), quality
