"""Times one row through the graph that ebm2onnx writes of an EBM fitted on given rows; prints microseconds."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import ebm2onnx
import numpy as np
import onnxruntime
import pandas as pd
from interpret.glassbox import ExplainableBoostingClassifier

REPEATS, ROUNDS = 300, 7


def main(folder: Path) -> None:
    """Read matrix.npy and churned.npy, fit as ours is, convert with contributions, and time."""
    matrix, churned = np.load(folder / "matrix.npy"), np.load(folder / "churned.npy")
    frame = pd.DataFrame(matrix, columns=[f"f{place}" for place in range(matrix.shape[1])])
    model = ExplainableBoostingClassifier(
        interactions=10, outer_bags=4, max_bins=128, max_interaction_bins=32, learning_rate=0.1, n_jobs=1
    ).fit(frame, churned)
    types = ebm2onnx.get_dtype_from_pandas(frame)
    graph = ebm2onnx.to_onnx(model, types, predict_proba=True, explain=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    row = {value.name: frame[value.name].to_numpy()[:1] for value in session.get_inputs()}
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REPEATS):
            session.run(None, row)
        rounds.append((time.perf_counter() - began) / REPEATS * 1e6)
    print(statistics.median(rounds))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
