"""Proves that the graph which is served and the estimator which was evaluated are the same function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from churn_mlops.errors import ParityError
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.onnx_session import open_session

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime

    from churn_mlops.models.signature import Feature, Signature

LIMIT: Final = 1e-5
"""Largest difference allowed, in probability and in log-odds."""

_CHUNK: Final = 50_000
_NEVER_SEEN: Final = "\x00 never seen in training"
_EXTREMES: Final = (-1e300, 1e300, -3.4e38, 3.4e38, -1e9, 1e9, 0.0, 1e-300)


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest differences between graph and estimator: on all training rows, and on edge rows."""

    rows: float
    edge_rows: float


def prove_parity(graph: bytes, estimator: Any, signature: Signature, intercept: float, frame: pd.DataFrame) -> Parity:
    """Compare churn probabilities, and contributions plus intercept with the log-odds before calibration.

    Args:
        graph: the serialised ONNX graph.
        estimator: the fitted calibrated estimator.
        signature: its features.
        intercept: the log-odds that the contributions are added to.
        frame: all training rows.

    Raises:
        ParityError: they differ by more than `LIMIT` somewhere.
    """
    session = open_session(graph)
    chunks = [frame.iloc[start : start + _CHUNK] for start in range(0, len(frame), _CHUNK)]
    rows = float(np.max([_difference(session, estimator, intercept, chunk) for chunk in chunks]))
    if not rows <= LIMIT:  # NaN is no agreement either; np.max keeps it, max might not
        raise ParityError("the training rows", rows, LIMIT)
    edge_rows = _difference(session, estimator, intercept, build_edge_rows(signature))
    if not edge_rows <= LIMIT:
        raise ParityError("edge rows (all missing, unseen category, extremes)", edge_rows, LIMIT)
    return Parity(rows, edge_rows)


def build_edge_rows(signature: Signature) -> pd.DataFrame:
    """Build the rows on which conversions go wrong.

    One row with everything missing, one with everything never seen or extreme, and for each feature rows that are
    typical but for that feature: missing, never seen, rare, extreme, and on the ends of its range.
    """
    typical: dict[str, object] = {feature.name: feature.typical for feature in signature.features}
    edges = [(feature.name, value) for feature in signature.features for value in _edge_values(feature)]
    strange = {feature.name: _edge_values(feature)[1] for feature in signature.features}
    rows = [dict.fromkeys(typical), strange, typical, *({**typical, name: value} for name, value in edges)]
    return pd.DataFrame(
        {f.name: pd.Series([row[f.name] for row in rows], dtype=_DTYPE[f.kind]) for f in signature.features}
    )


_DTYPE: Final[dict[str, Any]] = {"numeric": "float64", "boolean": "boolean", "categorical": "str"}


def _edge_values(feature: Feature) -> list[object]:
    """Give the missing value first and the strangest second."""
    if feature.kind == "categorical":
        return [None, _NEVER_SEEN, *feature.rare_categories[:1], *feature.categories[:1], *feature.categories[-1:]]
    if feature.kind == "boolean":
        return [None, True, False]
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    ends = [low, high, math.nextafter(low, -math.inf), math.nextafter(high, math.inf), (low + high) / 2]
    return [None, *_EXTREMES, *ends]


def _difference(session: onnxruntime.InferenceSession, estimator: Any, intercept: float, frame: pd.DataFrame) -> float:
    model = estimator.calibrated_classifiers_[0].estimator
    matrix: npt.NDArray[np.float32] = model[0].transform(frame).astype(np.float32)
    probability, contributions = session.run([PROBABILITY, CONTRIBUTIONS], {INPUT: matrix})
    log_odds = intercept + contributions.astype(np.float64).sum(axis=1)
    in_probability = np.abs(probability - estimator.predict_proba(frame)[:, 1])
    in_log_odds = np.abs(log_odds - model.decision_function(frame))
    return float(np.max([in_probability, in_log_odds]))
