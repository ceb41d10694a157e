"""Fits a scikit-learn pipeline on a table, and keeps it as a peer serves it; run in that peer's environment.

    python pipeline.py mlflow|mlserver|bentoml|litserve TABLE.csv LABEL FOLDER

A logistic regression on scaled numbers and one-hot texts, which is among the fastest that could be served.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def main(peer: str, table: Path, label: str, folder: Path) -> None:
    """Fit, and write what the peer starts from."""
    frame = pd.read_csv(table)
    features, churned = frame.drop(columns=label), frame[label] == "Yes"
    numbers = features.select_dtypes("number").columns
    pipeline = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
                ("texts", OneHotEncoder(handle_unknown="ignore"), features.columns.difference(numbers)),
            ]
        ),
        LogisticRegression(max_iter=1000),
    ).fit(features, churned)
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

    # without a missing number, whole ones are taken for integers, and a request that leaves out ".0" for another type
    known = features.dropna().astype({name: float for name in features.select_dtypes("number")})
    signature = infer_signature(known, pipeline.predict_proba(known))
    mlflow.sklearn.save_model(pipeline, folder, signature=signature, pyfunc_predict_fn="predict_proba")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
