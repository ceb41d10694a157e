"""From a customer frame to the float matrix every model takes: the first step of every estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from churn_mlops.models.signature import LARGEST_NUMBER, Feature, Signature

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind

MAX_CATEGORIES = 1000
"""Categories with a code of their own, and rare ones listed by name, per feature at most."""

_PRIOR_ROWS: Final = 20
"""Customers with the overall churn rate that every category is given before its own are counted: few rows, and a
category's place is near the middle."""


class FrameEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Learns the signature of a frame and encodes frames by it.

    Numbers become themselves rounded to float32 (the precision of the served graph; beyond it, its largest), booleans
    0 and 1, categories their code, rare and unseen categories the `other_code`, and missing values NaN. Codes follow
    the churn rate of the rows it is fitted on (Fisher 1958: of all ways to split categories in two by it, the best is
    one between neighbours in that order), so it is fitted inside the folds, never on rows to be tested on.

    Args:
        kinds: the kind of every feature, in order.
        rare_category_rows: categories on fewer rows than this get no code of their own.
    """

    def __init__(self, kinds: dict[str, Kind], rare_category_rows: int = 20) -> None:
        self.kinds = kinds
        self.rare_category_rows = rare_category_rows

    def fit(self, frame: pd.DataFrame, churned: npt.ArrayLike) -> Self:
        """Learn categories and their order, ranges, typical values and missing shares.

        Args:
            frame: the features.
            churned: bool [rows].
        """
        outcome = np.asarray(churned, dtype=np.float64)
        self.signature_ = Signature(
            features=tuple(self._describe(name, kind, frame[name], outcome) for name, kind in self.kinds.items())
        )
        return self

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Encode a frame as float64 [rows, features] whose values are all representable in float32."""
        check_is_fitted(self)
        return encode_frame(self.signature_, frame)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Name the columns of the matrix: the features, in order."""
        return np.array(list(self.kinds), dtype=object)

    def _describe(self, name: str, kind: Kind, values: pd.Series, churned: npt.NDArray[np.float64]) -> Feature:
        common: dict[str, Any] = {"name": name, "kind": kind, "missing_share": float(values.isna().mean())}
        present = values.reset_index(drop=True).dropna()
        if present.empty:
            return Feature(**common)
        if kind == "numeric":
            numbers = present.astype("float64")
            return Feature(**common, minimum=numbers.min(), maximum=numbers.max(), typical=float(numbers.median()))
        if kind == "boolean":
            return Feature(**common, typical=bool(present.astype(bool).mean() > 0.5))
        return Feature(**common, **self._describe_categories(present.astype("str"), churned))

    def _describe_categories(self, present: pd.Series, churned: npt.NDArray[np.float64]) -> dict[str, Any]:
        outcome = pd.Series(churned)[present.index]
        by_category = outcome.groupby(present).agg(["sum", "size"])
        counts = by_category["size"].sort_index().sort_values(ascending=False, kind="stable")
        frequent = counts[counts >= self.rare_category_rows].index[:MAX_CATEGORIES]
        rare = counts.index.difference(frequent, sort=False)
        base_rate = float(churned.mean())
        rate = _smooth(by_category["sum"], by_category["size"], base_rate)[sorted(frequent)].sort_values(kind="stable")
        others = by_category.loc[rare].sum()
        other_rate = _smooth(others["sum"], others["size"], base_rate)
        return {
            "categories": tuple(rate.index),
            "other_code": float((rate < other_rate).sum()) - 0.5,
            "rare_categories": tuple(sorted(rare[:MAX_CATEGORIES])),
            "typical": str(counts.index[0]),
        }


def _smooth(left: Any, customers: Any, base_rate: float) -> Any:
    """Compute churn rates (a Series or a number), drawn towards the overall one where customers are few."""
    return (left + _PRIOR_ROWS * base_rate) / (customers + _PRIOR_ROWS)


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
    codes = np.where(known < 0, feature.other_code, known).astype(np.float64)
    codes[values.isna().to_numpy()] = np.nan
    return codes
