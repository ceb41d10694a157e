"""BentoML's services: `bentoml serve bentoml_services:Pipeline` and `bentoml_services:Graph`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pandas as pd  # noqa: TC002 - BentoML reads the annotation


@bentoml.service(workers=1)
class Pipeline:
    """The scikit-learn pipeline, as the documentation serves one: a data frame in, probabilities out."""

    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["FOLDER"]) / "model.joblib")

    @bentoml.api  # type: ignore[untyped-decorator]  # not installed where types are checked
    def predict(self, customers: pd.DataFrame) -> list[float]:
        """Score the rows of a frame."""
        probabilities: list[float] = self.model.predict_proba(customers)[:, 1].tolist()
        return probabilities


@bentoml.service(workers=1)
class Graph:
    """Our graph with our reasons; on the event loop, where a short call is sooner done than in a thread."""

    def __init__(self) -> None:
        from benchmarks.peers.our_graph import load_predict

        self.score = load_predict()

    @bentoml.api  # type: ignore[untyped-decorator]  # not installed where types are checked
    async def predict(self, features: dict[str, Any], customer_id: str | None = None) -> dict[str, Any]:
        """Score one customer."""
        return dict(self.score({"customer_id": customer_id, "features": features}))
