"""Makes small customer frames of any mix of kinds, and baselines fitted on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_mlops.models.logistic import build_logistic, read_logistic

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind
    from churn_mlops.models.additive import AdditiveModel
    from churn_mlops.models.signature import Signature

DTYPES: dict[str, Any] = {"numeric": "float64", "boolean": "boolean", "categorical": "str"}
MIXED: dict[str, Kind] = {
    "tenure": "numeric",
    "plan": "categorical",
    "paperless": "boolean",
    "charges": "numeric",
    "city": "categorical",
}


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline with what was read off it, and the rows it was fitted on."""

    estimator: Any
    signature: Signature
    additive: AdditiveModel
    frame: pd.DataFrame
    churned: npt.NDArray[np.bool_]

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The encoded training rows."""
        matrix: npt.NDArray[np.float64] = self.pipeline[0].transform(self.frame)
        return matrix

    @property
    def pipeline(self) -> Any:
        """The pipeline under the calibration."""
        return self.estimator.calibrated_classifiers_[0].estimator


def make_frame(kinds: dict[str, Kind], rows: int = 400, seed: int = 0, missing_share: float = 0.1) -> pd.DataFrame:
    """Draw a frame: normal numbers, fair booleans, forty categories of falling frequency, some of each missing."""
    random = np.random.default_rng(seed)
    frame = {}
    for name, kind in kinds.items():
        values = _draw(kind, random, rows)
        values[random.random(rows) < missing_share] = None
        frame[name] = pd.Series(values, dtype=DTYPES[kind])
    return pd.DataFrame(frame)


def draw_churn(frame: pd.DataFrame, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Draw outcomes that depend on the first column, about a third of them churners."""
    random = np.random.default_rng(seed)
    first = pd.Series(pd.factorize(frame.iloc[:, 0])[0] if frame.dtypes.iloc[0] != "float64" else frame.iloc[:, 0])
    log_odds = first.fillna(0).rank(pct=True).to_numpy() * 4 - 2.8
    return np.asarray(random.random(len(frame)) < 1 / (1 + np.exp(-log_odds)))


def fit_baseline(
    kinds: dict[str, Kind], frame: pd.DataFrame, churned: npt.NDArray[np.bool_], rare_category_rows: int = 5
) -> FittedBaseline:
    """Fit the baseline in three folds and read its additive form."""
    estimator = build_logistic(kinds, rare_category_rows, folds=3, seed=0).fit(frame, churned)
    signature, additive = read_logistic(estimator, frame)
    return FittedBaseline(estimator, signature, additive, frame, churned)


def _draw(kind: Kind, random: np.random.Generator, rows: int) -> npt.NDArray[np.object_]:
    if kind == "numeric":
        return random.normal(50, 20, rows).astype(object)
    if kind == "boolean":
        return (random.random(rows) < 0.5).astype(object)
    return np.array([f"c{min(int(place), 39)}" for place in random.exponential(8, rows)], dtype=object)
