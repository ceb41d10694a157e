"""Runs a graph as the scorer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.onnx_session import open_session

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def run_graph(graph: bytes, matrix: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Give probabilities, float64 [rows], and contributions, float64 [rows, features], of encoded customers."""
    features = np.asarray(matrix, dtype=np.float32)
    probability, contributions = open_session(graph).run([PROBABILITY, CONTRIBUTIONS], {INPUT: features})
    return probability.astype(np.float64), contributions.astype(np.float64)
