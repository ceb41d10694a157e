"""The signature: the ordered features that a model takes, and what each may hold."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from churn_mlops.config.settings import Kind
from churn_mlops.features.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

LARGEST_NUMBER: Final = 3.4028234663852886e38
"""The largest float32: numbers are kept within it, so that none becomes infinite in the graph."""


class Feature(BaseModel):
    """One input of a model.

    Attributes:
        name: as in the customer table, to the letter.
        kind: numeric, boolean or categorical.
        categories: of a categorical feature, the texts with a code of their own: the code is the position, and the
            order is that of the churn rate in training, lowest first, so that trees can split categories by a number.
        other_code: the code of every other category: a half, at the place of its churn rate (the overall one, if none
            was seen in training) among the others.
        rare_categories: texts seen too rarely for a code of their own (the most frequent 1,000 of them).
        minimum: smallest value seen, of a numeric feature.
        maximum: largest value seen, of a numeric feature.
        typical: the median, or the most frequent value; None if it was never present.
        missing_share: share of the training rows on which it is missing, 0 to 1.
        wording: how reasons write it; None where they name the column and its value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    other_code: float = -0.5
    rare_categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    typical: bool | float | str | None = None
    missing_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    wording: Wording | None = None

    @cached_property
    def codes(self) -> dict[str, int]:
        """The code of each category."""
        return {category: code for code, category in enumerate(self.categories)}

    def encode(self, value: bool | float | str | None) -> float:
        """Give the number that a value of this feature's kind becomes in the model's input; NaN where it is missing."""
        if value is None:
            return math.nan
        if isinstance(value, str):
            return self.codes.get(value, self.other_code)
        return min(max(float(value), -LARGEST_NUMBER), LARGEST_NUMBER)

    def is_unseen(self, category: str) -> bool:
        """Whether a text was never seen for this feature in training."""
        return category not in self.codes and category not in self.rare_categories

    def is_out_of_range(self, value: float) -> bool:
        """Whether a number lies outside what was seen in training."""
        return self.minimum is not None and self.maximum is not None and not self.minimum <= value <= self.maximum


class Signature(BaseModel):
    """The features of a model, in the order of the columns of its input matrix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Annotated[tuple[Feature, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> Signature:
        if len(set(self.names)) < len(self.names):
            msg = f"a feature name stands twice in {self.names}"
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names in order."""
        return tuple(feature.name for feature in self.features)

    def with_wordings(self, wordings: Mapping[str, Wording]) -> Signature:
        """Give the signature whose features are put into words so, by name; others keep what they have."""
        return Signature(
            features=tuple(
                feature.model_copy(update={"wording": wordings.get(feature.name, feature.wording)})
                for feature in self.features
            )
        )

    def reference_row(self) -> npt.NDArray[np.float64]:
        """Encode the reference customer, who is typical in everything: float64 [features], representable in float32."""
        typical = [feature.encode(feature.typical) for feature in self.features]
        return np.array(typical, dtype=np.float32).astype(np.float64)
