"""LitServe's servers: `python litserve_server.py pipeline|graph`, on the port that PORT names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import joblib
import litserve
import pandas as pd


class Pipeline(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """The scikit-learn pipeline on a frame of one row."""

    def setup(self, device: str) -> None:
        """Load it."""
        self.model = joblib.load(Path(os.environ["FOLDER"]) / "model.joblib")

    def predict(self, x: Any) -> dict[str, float]:
        """Score one customer, as the request's JSON has it; annotated, decode_request would be a validated body."""
        return {"churn_probability": float(self.model.predict_proba(pd.DataFrame([x["features"]]))[0, 1])}


class Graph(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """Our graph with our reasons."""

    def setup(self, device: str) -> None:
        """Load it."""
        from benchmarks.peers.our_graph import load_predict

        self.score = load_predict()

    def predict(self, x: Any) -> Any:
        """Score one customer, as the request's JSON has it."""
        return self.score(x)


if __name__ == "__main__":
    api = {"pipeline": Pipeline, "graph": Graph}[sys.argv[1]]()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False)
