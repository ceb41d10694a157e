"""Our graph with our reasons in another product's process, on what that product read of the request's JSON.

The request is not validated: the product has its own way of that, and doing it twice would cost it the comparison.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from churn_mlops.inference.prediction import Customer, Prediction, Predictor
from churn_mlops.inference.scorer import Scorer
from churn_mlops.registry.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS = 3


def load_predict() -> Callable[[Customer], Prediction]:
    """Load the version in the folder that OUR_VERSION names; give what scores one customer by it, with reasons."""
    folder = Path(os.environ["OUR_VERSION"])
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    predictor = Predictor(Scorer(manifest, (folder / "model.onnx").read_bytes()), max_missing_share=0.5)

    def predict(customer: Customer) -> Prediction:
        return predictor.predict(customer, predictor.encode(customer["features"]), REASONS)

    return predict
