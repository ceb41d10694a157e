"""One customer, in process: every family's graph with all contributions, and from bytes to the answer."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.comparison import Comparison, compare
from benchmarks.peers.environment import peer_python
from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.inference.encoding import CustomerEncoder
from churn_mlops.inference.reasons import Explainer
from churn_mlops.models.blend import Blend
from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.ebm import AdditiveBoosting
from churn_mlops.models.export import export_model
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.models.logistic import build_logistic
from churn_mlops.onnx_session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from churn_mlops.config.settings import Kind

ROUNDS = 7
ROWS, FEATURES, PAIRS = 5000, 30, 10


@dataclass(frozen=True)
class Fitted:
    """A model on drawn customers, and its graph."""

    model: ChurnModel
    graph: bytes
    frame: pd.DataFrame


def measure() -> Iterator[Comparison]:
    """Fit each family on drawn customers with 30 features, then compare."""
    frame, churned = draw_customers()
    kinds: dict[str, Kind] = dict.fromkeys(frame.columns, "numeric")
    ebm, boosted = AdditiveBoosting(interactions=PAIRS, bags=4), BoostedTrees(num_leaves=15)
    families = {
        "logistic": build_logistic(kinds),
        "ebm": ebm,
        "boosted": boosted,
        "blend": Blend({"ebm": ebm, "boosted": boosted}, {"ebm": 0.5, "boosted": 0.5}),
    }
    fitted: dict[str, Fitted] = {}
    for name, family in families.items():
        model = ChurnModel(kinds, 20, family).fit(frame, churned)
        fitted[name] = Fitted(model, export_model(model, frame).graph, frame)
        yield _compare_with_estimator(name, fitted[name])
    yield _compare_with_ebm2onnx(fitted["ebm"], churned)
    yield _compare_with_parsing(fitted["ebm"])


def draw_customers() -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Draw customers whose churn depends on some features, and on some pairs of them."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(ROWS, FEATURES))
    log_odds = matrix[:, :6].sum(axis=1) / 2 + matrix[:, 6] * matrix[:, 7] + np.abs(matrix[:, 8]) - 1
    churned = random.random(ROWS) < 1 / (1 + np.exp(-log_odds))
    return pd.DataFrame(matrix, columns=[f"f{place}" for place in range(FEATURES)]), churned


def _compare_with_estimator(name: str, fitted: Fitted) -> Comparison:
    row = fitted.frame.iloc[:1]
    graph = _timed(_scoring(fitted), 1000)
    estimator = _timed(lambda: fitted.model.predict_proba(row), 20)
    described = f"one row, all contributions: {name}, {FEATURES} features"
    return compare(described, "µs", graph, estimator, "the estimator's predict_proba", ROUNDS)


def _compare_with_ebm2onnx(fitted: Fitted, churned: npt.NDArray[np.bool_]) -> Comparison:
    python = peer_python("ebm2onnx")
    script = Path(__file__).parent / "peers" / "ebm_graph.py"
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "matrix.npy", fitted.frame.to_numpy())
        np.save(Path(folder) / "churned.npy", churned)
        done = subprocess.run([python, script, folder], check=True, capture_output=True, text=True)
    theirs = float(done.stdout.split()[-1])
    described = f"one row, all contributions: ebm, {PAIRS} pairs"
    return compare(described, "µs", _timed(_scoring(fitted), 1000), lambda: theirs, "ebm2onnx's graph", ROUNDS)


def _compare_with_parsing(fitted: Fitted) -> Comparison:
    signature = fitted.model.signature
    schema, score = RequestSchema(signature), _scoring(fitted)
    encoder, explainer = CustomerEncoder(signature), Explainer(signature)
    body = json.dumps(schema.example()).encode()

    def answer() -> object:
        features = schema.read(body)["features"]
        encoder.encode(features)
        return explainer.explain(features, score()[1][0].tolist(), 3)

    parsing = _timed(lambda: json.loads(body), 1000)
    return compare("bytes to reasons: ebm", "µs", _timed(answer, 1000), parsing, "json.loads of the bytes", ROUNDS)


def _scoring(fitted: Fitted) -> Callable[[], list[npt.NDArray[np.float32]]]:
    session = open_session(fitted.graph)
    row = fitted.model.encoder_.transform(fitted.frame.iloc[:1]).astype(np.float32)
    return lambda: session.run([PROBABILITY, CONTRIBUTIONS], {INPUT: row})


def _timed(call: Callable[[], object], repeats: int) -> Callable[[], float]:
    def microseconds() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - start) / repeats * 1e6

    return microseconds
