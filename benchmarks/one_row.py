"""One customer, in process: bytes to answer, beside the same model as a scikit-learn pipeline and beside no model."""

from __future__ import annotations

import io
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import pandas as pd

from benchmarks.comparison import Comparison, compare
from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.config.settings import ArtifactsSettings, Settings, TrainingSettings
from churn_mlops.inference.encoding import encode_customer
from churn_mlops.inference.reasons import explain
from churn_mlops.inference.scorer import load_champion
from churn_mlops.registry.manifest import ESTIMATOR
from churn_mlops.registry.reading import Registry
from churn_mlops.training.job import train_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5


def measure() -> Iterator[Comparison]:
    """Train on the sample, then compare."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            artifacts=ArtifactsSettings(path=Path(folder)), training=TrainingSettings(bootstrap_resamples=100)
        )
        train_baseline(settings)
        registry = Registry(settings.artifacts.path)
        scorer = load_champion(registry)
        estimator = joblib.load(io.BytesIO(registry.read_file(scorer.manifest, ESTIMATOR)))
    signature = scorer.manifest.signature
    schema = RequestSchema(signature)
    body = json.dumps(schema.example()).encode()
    values = schema.read(body).values
    row, _ = encode_customer(signature, values)
    frame = pd.DataFrame([schema.example()["features"]])

    def answer() -> object:
        customer = schema.read(body)
        encoded, _ = encode_customer(signature, customer.values)
        scores = scorer.score(encoded)
        return explain(signature, customer.values, scores.contributions[0], 3)

    graph = _timed(lambda: scorer.score(row), 2000)
    pipeline = _timed(lambda: estimator.predict_proba(frame), 30)
    whole = _timed(answer, 1000)
    parsing = _timed(lambda: json.loads(body), 1000)
    yield compare("score one row, all contributions", "µs", graph, pipeline, "scikit-learn predict_proba", ROUNDS)
    yield compare("bytes to reasons, one row", "µs", whole, parsing, "json.loads of the same bytes", ROUNDS)


def _timed(call: Callable[[], object], repeats: int) -> Callable[[], float]:
    def microseconds() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - start) / repeats * 1e6

    return microseconds
