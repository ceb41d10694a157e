"""How far estimator, graph and service are apart: every family, on every row of real tables and on edge rows.

    python -m benchmarks.parity [--tables NAME ...] [--rows 200]

Each family is trained by the real job on each table that is here. The service is a process of its own, asked over HTTP:
all edge rows, and a seeded draw of the others. Printed are the largest differences in churn probability; for additive
families also by how much contributions and intercept miss the log-odds before calibration.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import httpx
import joblib
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy import named_tables
from churn_mlops.config.settings import ArtifactsSettings, EvaluationSettings, Family, Settings, TrainingSettings
from churn_mlops.data.table import load_customers
from churn_mlops.inference.scorer import load_champion
from churn_mlops.models.frame_encoder import encode_frame
from churn_mlops.models.parity import LIMIT, build_edge_rows
from churn_mlops.registry.manifest import ESTIMATOR
from churn_mlops.registry.reading import Registry
from churn_mlops.training.job import train

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.config.settings import DataSettings
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.models.churn_model import ChurnModel

    Floats = npt.NDArray[np.float64]

COLUMNS: Final = (
    *("table", "family", "rows", "of"),
    *("graph: probability", "graph: log-odds", "asked", "API: probability", "API: log-odds"),
)


def main() -> int:
    """Train, ask, print one line for each family, table and kind of rows; fail if any difference is too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--rows", type=int, default=200, help="so many of a table's rows go over HTTP")
    options = parser.parse_args()
    shown, largest = Table(*COLUMNS, title=f"largest differences; at most {LIMIT:g} is allowed"), [0.0]
    with tempfile.TemporaryDirectory() as folder:
        for name, data in named_tables(Path(folder)):
            if options.tables and name not in options.tables:
                continue
            for family in get_args(Family):
                for line in compare(data, family, Path(folder) / f"{name}-{family}", options.rows):
                    largest += [figure for figure in line[2:] if isinstance(figure, float)]
                    shown.add_row(name, family, *(f"{cell:.1e}" if isinstance(cell, float) else cell for cell in line))
    Console(width=140).print(shown)
    print(f"largest of all: {np.max(largest):.1e}")
    return int(not np.max(largest) <= LIMIT)


def compare(data: DataSettings, family: Family, artifacts: Path, asked: int) -> Iterator[tuple[str | float, ...]]:
    """Train one family on one table and give two lines, without the first two cells: all rows and edge rows."""
    settings = Settings(
        data=data,
        training=TrainingSettings(folds=2, bootstrap_resamples=100, budget_seconds=1e-3),
        evaluation=EvaluationSettings(leak_report=False, learning_curve=False),
        artifacts=ArtifactsSettings(path=artifacts),
    )
    train(settings, family)
    registry = Registry(artifacts)
    scorer = load_champion(registry)
    model = joblib.load(registry.models / scorer.version / ESTIMATOR)
    frame = load_customers(data).features
    drawn = np.random.default_rng(0).choice(len(frame), min(asked, len(frame)), replace=False)
    edges = build_edge_rows(scorer.manifest.signature)
    with served(artifacts) as client:
        yield "all", f"{len(frame):,}", *measure(model, scorer, frame, client, np.sort(drawn))
        yield "edge", f"{len(edges):,}", *measure(model, scorer, edges, client, np.arange(len(edges)))


def measure(
    model: ChurnModel, scorer: Scorer, frame: pd.DataFrame, client: httpx.Client, asked: npt.NDArray[np.intp]
) -> tuple[str | float, ...]:
    """Compare the graph with the estimator on all of some rows, and the API with it on those that are asked."""
    explanation = scorer.manifest.explanation
    probability, log_odds = model.predict_proba(frame)[:, 1], model.decision_function(frame)
    scores = scorer.score(encode_frame(scorer.manifest.signature, frame).astype(np.float32))
    answers = [ask(client, frame.iloc[[row]]) for row in asked]

    def miss(total: Floats, expected: Floats) -> str | float:
        if explanation.kind != "additive":
            return "-"
        return float(np.abs(explanation.intercept + total - expected).max())

    told = np.array([answer["churn_probability"] for answer in answers])
    reasons = np.array([math.fsum(reason["contribution"] for reason in answer["reasons"]) for answer in answers])
    return (
        float(np.abs(scores.probability - probability).max()),
        miss(scores.contributions.astype(np.float64).sum(axis=1), log_odds),
        f"{len(asked):,}",
        float(np.abs(told - probability[asked]).max()),
        miss(reasons, log_odds[asked]),
    )


def ask(client: httpx.Client, row: pd.DataFrame) -> Any:
    """Send one customer, with every reason wanted, and give the answer."""
    values = row.astype(object).where(row.notna(), None).iloc[0].to_dict()
    answer = client.post("/predict", params={"reasons": 0}, json={"features": values})
    return answer.raise_for_status().json()


@contextmanager
def served(artifacts: Path) -> Iterator[httpx.Client]:
    """Serve the champion of a folder in a process of its own, on a free port, for as long as needed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_MLOPS")}
    (artifacts / "empty.yaml").touch()
    environment |= {
        "CHURN_MLOPS_CONFIG": "empty.yaml",
        "CHURN_MLOPS__ARTIFACTS__PATH": str(artifacts),
        "CHURN_MLOPS__SERVING__PORT": "0",
        "CHURN_MLOPS__SERVING__MAX_MISSING_SHARE": "1",  # one edge row has nothing
    }
    log = artifacts / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "churn_mlops.api"], env=environment, cwd=artifacts, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=_await_address(process, log), timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await_address(process: subprocess.Popen[bytes], log: Path) -> str:
    while process.poll() is None:
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {log.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    sys.exit(main())
