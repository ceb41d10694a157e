"""Fits our baseline, a scikit-learn pipeline, on a table as it is, and keeps it as the peer it runs in serves it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import pandas as pd

from churn_mlops.models.logistic import build_logistic

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from churn_mlops.config.settings import Kind


def main(peer: str, table: Path, label: str, folder: Path) -> None:
    """Fit, and write what the peer (mlflow, mlserver, bentoml, litserve) starts from."""
    frame = pd.read_csv(table)
    features, churned = frame.drop(columns=label), frame[label] == "Yes"
    numbers = set(features.select_dtypes("number"))
    kinds: dict[str, Kind] = {str(name): "numeric" if name in numbers else "categorical" for name in features}
    pipeline = build_logistic(kinds).fit(features, churned)
    if peer == "mlflow":
        _save_for_mlflow(pipeline, features, folder / "mlflow")
        return
    joblib.dump(pipeline, folder / "model.joblib")
    if peer == "mlserver":
        settings = {
            "name": "churn",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib", "version": "v1"},
        }
        (folder / "model-settings.json").write_text(json.dumps(settings))


def _save_for_mlflow(pipeline: Pipeline, features: pd.DataFrame, folder: Path) -> None:
    import mlflow.sklearn
    from mlflow.models import infer_signature

    # numbers as floats: a column of whole ones would be taken for integers, and missing ones refused with a warning
    known = features.dropna().astype(dict.fromkeys(features.select_dtypes("number"), float))
    mlflow.sklearn.save_model(
        pipeline,
        folder,
        signature=infer_signature(known, pipeline.predict_proba(known)),
        pyfunc_predict_fn="predict_proba",
        skops_trusted_types=["numpy.dtype"],  # what it asks for
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
