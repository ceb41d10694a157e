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

    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.models.export import ExportedModel
    from churn_mlops.models.signature import Feature, Signature

    Floats = npt.NDArray[np.float64]

LIMIT: Final = 1e-5
"""Largest difference allowed, in probability and in log-odds."""

REFERENCE_ROWS: Final = 1000
"""Training rows on which reference contributions are compared: each costs a score per feature."""

_CHUNK: Final = 5_000
"""Customers scored at once: linear leaves take `features` squared numbers of each."""
_NEVER_SEEN: Final = "\x00 never seen in training"
_EXTREMES: Final = (-1e300, 1e300, -3.4e38, 3.4e38, -1e9, 1e9, 0.0, 1e-300)


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest differences between graph and estimator: on all training rows, and on edge rows."""

    rows: float
    edge_rows: float


def prove_parity(exported: ExportedModel, model: ChurnModel, frame: pd.DataFrame) -> Parity:
    """Compare a graph with the estimator that it was written from.

    Churn probabilities are compared on every row. Contributions: additive ones, plus intercept, with the log-odds
    before calibration on every row; reference ones with what the estimator says of the same customers with one feature
    at a time set to the reference, on the edge rows and on `REFERENCE_ROWS` rows spread over the table.

    Args:
        exported: the graph and how its contributions are to be read.
        model: the fitted estimator.
        frame: all training rows.

    Raises:
        ParityError: they differ by more than `LIMIT` somewhere.
    """
    session = open_session(exported.graph)
    chunks = [frame.iloc[start : start + _CHUNK] for start in range(0, len(frame), _CHUNK)]
    differences = [_difference(session, exported, model, chunk) for chunk in chunks]
    if exported.contributions == "reference":
        spread = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, REFERENCE_ROWS, dtype=int))]
        differences.append(_reference_difference(session, model, spread))
    rows = float(np.max(differences))
    if not rows <= LIMIT:  # NaN is no agreement either; np.max keeps it, max might not
        raise ParityError("the training rows", rows, LIMIT)
    edges = build_edge_rows(model.signature)
    differences = [_difference(session, exported, model, edges)]
    if exported.contributions == "reference":
        differences.append(_reference_difference(session, model, edges))
    edge_rows = float(np.max(differences))
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


def _difference(
    session: onnxruntime.InferenceSession, exported: ExportedModel, model: ChurnModel, frame: pd.DataFrame
) -> float:
    probability, contributions = _run(session, model.encoder_.transform(frame))
    differences = [np.abs(probability - model.predict_proba(frame)[:, 1])]
    if exported.contributions == "additive":
        log_odds = exported.intercept + contributions.sum(axis=1)
        differences.append(np.abs(log_odds - model.decision_function(frame)))
    return float(np.max(differences))


def _reference_difference(session: onnxruntime.InferenceSession, model: ChurnModel, frame: pd.DataFrame) -> float:
    matrix = model.encoder_.transform(frame)
    _, contributions = _run(session, matrix)
    log_odds = model.family_.decision_function(matrix)
    differences = []
    for feature, value in enumerate(model.signature.reference_row()):
        changed = matrix.copy()
        changed[:, feature] = value
        change = log_odds - model.family_.decision_function(changed)
        differences.append(np.abs(contributions[:, feature] - change))
    return float(np.max(differences))


def _run(session: onnxruntime.InferenceSession, matrix: Floats) -> tuple[Floats, Floats]:
    probability, contributions = session.run([PROBABILITY, CONTRIBUTIONS], {INPUT: matrix.astype(np.float32)})
    return probability.astype(np.float64), contributions.astype(np.float64)
