"""Makes small customer frames of any mix of kinds, and models fitted on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_mlops.models.additive import read_additive, write_additive
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.export import ExportedModel
from churn_mlops.models.logistic import build_logistic

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


SHAPES: dict[str, dict[str, Kind]] = {
    "mixed kinds": MIXED,
    "only numeric": {"tenure": "numeric", "charges": "numeric"},
    "only categorical": {"plan": "categorical", "city": "categorical"},
    "only boolean and a number": {"tenure": "numeric", "paperless": "boolean", "senior": "boolean"},
    "a single number": {"tenure": "numeric"},
    "a single category": {"plan": "categorical"},
}
PLATT = Calibration("sigmoid", 0.9, 0.9, 0.2)


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline with what was read off it, and the rows it was fitted on."""

    model: ChurnModel
    additive: AdditiveModel
    frame: pd.DataFrame

    @property
    def signature(self) -> Signature:
        """The features as learnt."""
        return self.model.signature

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The encoded training rows."""
        return self.encode(self.frame)

    def encode(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Encode customers as the model does."""
        matrix: npt.NDArray[np.float64] = self.model.encoder_.transform(frame)
        return matrix

    def export(self, additive: AdditiveModel, calibration: Calibration = PLATT) -> ExportedModel:
        """Write the baseline, or what a test has made of it; the intercept told is the baseline's own."""
        return ExportedModel(write_additive(additive, calibration), "additive", self.additive.intercept)


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
    kinds: dict[str, Kind],
    frame: pd.DataFrame,
    churned: npt.NDArray[np.bool_],
    rare_category_rows: int = 5,
    calibration: Calibration = PLATT,
) -> FittedBaseline:
    """Fit the baseline and read its additive form."""
    model = ChurnModel(kinds, rare_category_rows, build_logistic(kinds), calibration).fit(frame, churned)
    matrix = model.encoder_.transform(frame)
    return FittedBaseline(model, read_additive(model.family_.decision_function, model.signature, matrix), frame)


def _draw(kind: Kind, random: np.random.Generator, rows: int) -> npt.NDArray[np.object_]:
    if kind == "numeric":
        return random.normal(50, 20, rows).astype(object)
    if kind == "boolean":
        return (random.random(rows) < 0.5).astype(object)
    return np.array([f"c{min(int(place), 39)}" for place in random.exponential(8, rows)], dtype=object)
