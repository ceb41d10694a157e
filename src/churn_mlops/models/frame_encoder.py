"""From a customer frame to the float matrix every model takes: the first step of every estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from churn_mlops.models.signature import LARGEST_NUMBER, OTHER_CATEGORY, Feature, Signature

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind

MAX_CATEGORIES = 1000
"""Categories with a code of their own, and rare ones listed by name, per feature at most."""


class FrameEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Learns the signature of a frame and encodes frames by it.

    Numbers become themselves rounded to float32 (the precision of the served graph; beyond it, its largest), booleans
    0 and 1, categories their code, rare and unseen categories `OTHER_CATEGORY`, and missing values NaN.

    Args:
        kinds: the kind of every feature, in order.
        rare_category_rows: categories on fewer rows than this get no code of their own.
    """

    def __init__(self, kinds: dict[str, Kind], rare_category_rows: int = 20) -> None:
        self.kinds = kinds
        self.rare_category_rows = rare_category_rows

    def fit(self, frame: pd.DataFrame, churned: object = None) -> Self:
        """Learn categories, ranges, typical values and missing shares; the target is not looked at."""
        self.signature_ = Signature(
            features=tuple(self._describe(name, kind, frame[name]) for name, kind in self.kinds.items())
        )
        return self

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Encode a frame as float64 [rows, features] whose values are all representable in float32."""
        check_is_fitted(self)
        return encode_frame(self.signature_, frame)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Name the columns of the matrix: the features, in order."""
        return np.array(list(self.kinds), dtype=object)

    def _describe(self, name: str, kind: Kind, values: pd.Series) -> Feature:
        common: dict[str, Any] = {"name": name, "kind": kind, "missing_share": float(values.isna().mean())}
        present = values.dropna()
        if present.empty:
            return Feature(**common)
        if kind == "numeric":
            numbers = present.astype("float64")
            return Feature(**common, minimum=numbers.min(), maximum=numbers.max(), typical=float(numbers.median()))
        if kind == "boolean":
            return Feature(**common, typical=bool(present.astype(bool).mean() > 0.5))
        counts = present.astype("str").value_counts().sort_index().sort_values(ascending=False, kind="stable")
        frequent = counts[counts >= self.rare_category_rows].index[:MAX_CATEGORIES]
        rare = counts.index.difference(frequent, sort=False)[:MAX_CATEGORIES]
        return Feature(
            **common,
            categories=tuple(sorted(frequent)),
            rare_categories=tuple(sorted(rare)),
            typical=str(counts.index[0]),
        )


def encode_frame(signature: Signature, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Encode a frame, which may have further columns, by a signature: what `FrameEncoder.transform` gives."""
    matrix = np.empty((len(frame), len(signature.features)), dtype=np.float64)
    for position, feature in enumerate(signature.features):
        values = _encode(feature, frame[feature.name])
        matrix[:, position] = np.clip(values, -LARGEST_NUMBER, LARGEST_NUMBER).astype(np.float32)
    return matrix


def _encode(feature: Feature, values: pd.Series) -> npt.NDArray[np.float64]:
    if feature.kind != "categorical":
        return np.asarray(values.astype("Float64").to_numpy(dtype="float64", na_value=np.nan), dtype=np.float64)
    known = pd.Index(feature.categories, dtype="str").get_indexer(pd.Index(values.astype("str")))
    codes = np.where(known < 0, OTHER_CATEGORY, known).astype(np.float64)
    codes[values.isna().to_numpy()] = np.nan
    return codes
