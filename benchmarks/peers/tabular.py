"""Fits one peer on a table and scores another; run by benchmarks.accuracy in an environment of its own."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

LABEL = "churned"


def main(peer: str, folder: Path) -> None:
    """Read train.parquet and test.parquet, print the seconds the fit took, write probabilities."""
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    began = time.perf_counter()
    probability = {"autogluon": score_autogluon, "catboost": score_catboost}[peer](train, test)
    seconds = time.perf_counter() - began
    np.save(folder / "probability.npy", probability)
    print(json.dumps({"seconds": seconds}))


def score_autogluon(train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.float64]:
    """AutoGluon, high quality, 100 s."""
    from autogluon.tabular import TabularPredictor

    with tempfile.TemporaryDirectory() as path:
        predictor = TabularPredictor(label=LABEL, path=path, eval_metric="log_loss", verbosity=0)
        predictor.fit(train, presets="high_quality", time_limit=100)
        return np.asarray(predictor.predict_proba(test.drop(columns=LABEL))[1])


def score_catboost(train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.float64]:
    """CatBoost with its defaults."""
    from catboost import CatBoostClassifier

    texts = [name for name in train.columns.drop(LABEL) if train[name].dtype == object or train[name].dtype == "str"]
    train, test = (part.assign(**{name: part[name].fillna("missing") for name in texts}) for part in (train, test))
    model = CatBoostClassifier(verbose=0, cat_features=texts, allow_writing_files=False)
    model.fit(train.drop(columns=LABEL), train[LABEL])
    return np.asarray(model.predict_proba(test.drop(columns=LABEL))[:, 1])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
