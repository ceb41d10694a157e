"""Everyone scored with reasons, Parquet to Parquet, beside scikit-learn's predict_proba on chunks of a pandas frame.

    python -m benchmarks.batch_score [--rows 10000000] [--rounds 3] [--folder FOLDER] [--only ours]

Both are processes of their own, run in turn: ours is `churn-mlops score` with three reasons, the other loads the same
version's estimator from model.joblib and writes ids and probabilities. A million customers are drawn with a seed, and a
folder links to that file as often as it takes. `make bench` has it on a small table, where starting weighs as much as
the rows: no ratio is wanted of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.comparison import summarise, take_in_turn
from benchmarks.million_rows import Run, run, write_customers
from benchmarks.table import show
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.comparison import Comparison

DRAWN_ROWS: Final = 1_000_000
TRAINED_ROWS: Final = 30_000


def main() -> None:
    """Draw customers, train on some of them, then measure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--folder", type=Path, help="keeps customers and model for the next time")
    options.add_argument("--only", choices=["prepare", "ours"], help="do not run the other")
    chosen = options.parse_args()
    if chosen.rows > DRAWN_ROWS and chosen.rows % DRAWN_ROWS:
        options.error(f"--rows is {chosen.rows:,}; up to {DRAWN_ROWS:,} any number will do, above it its multiples")
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        customers = prepare(folder, chosen.rows)
        if chosen.only == "prepare":
            return
        measures = [
            lambda: _tell("ours", run_ours(folder, customers), chosen.rows),
            lambda: _tell("predict_proba", run_other(folder, customers), chosen.rows),
        ]
        rounds = take_in_turn(measures[: 1 if chosen.only else 2], chosen.rounds)
    if not chosen.only:
        show([_summarise(chosen.rows, rounds, "at least 3")])


def measure() -> list[Comparison]:
    """Compare on a table that is small enough for `make bench`."""
    rows = 300_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        customers = prepare(folder, rows)
        rounds = take_in_turn([lambda: run_ours(folder, customers), lambda: run_other(folder, customers)], 1)
    return [_summarise(rows, rounds)]


def prepare(folder: Path, rows: int) -> Path:
    """Draw customers and train an Explainable Boosting Machine, unless that was done; give the folder of so many."""
    drawn = min(rows, DRAWN_ROWS)
    for name, size in (("training", TRAINED_ROWS), (f"drawn-{drawn}", drawn)):
        if not (folder / name).exists():
            (folder / name).mkdir(parents=True)
            write_customers(folder / name, size, ["parquet"])
    if not Registry(folder / "artifacts").versions():
        data = {"SOURCE": "table", "PATH": str(folder / "training" / "customers.parquet"), "POSITIVE_LABEL": "yes"}
        data |= {"CUSTOMER_ID": "customer_id", "TARGET": "churned"}
        settings = {f"CHURN_MLOPS__DATA__{key}": value for key, value in data.items()}
        settings |= {"CHURN_MLOPS__EVALUATION__LEAK_REPORT": "false", "CHURN_MLOPS__TRAINING__FOLDS": "2"}
        settings |= {"CHURN_MLOPS__EVALUATION__LEARNING_CURVE": "false", "CHURN_MLOPS__TRAINING__BUDGET_SECONDS": "15"}
        run([sys.executable, "-m", "churn_mlops", "train", "--model", "ebm"], settings | _artifacts(folder))
    linked = folder / f"customers-{rows}"
    linked.mkdir(exist_ok=True)
    for number in range(rows // drawn):
        link = linked / f"{number:03}.parquet"
        if not link.exists():
            link.hardlink_to(folder / f"drawn-{drawn}" / "customers.parquet")
    return linked


def run_ours(folder: Path, customers: Path) -> Run:
    """Score them all with three reasons each."""
    command = [sys.executable, "-m", "churn_mlops", "score", str(customers), "--reasons", "3"]
    return run([*command, "--output", str(folder / "scores.parquet")], _artifacts(folder))


def run_other(folder: Path, customers: Path) -> Run:
    """Let the estimator predict."""
    registry = Registry(folder / "artifacts")
    estimator = registry.models / registry.champion() / "model.joblib"
    command = [sys.executable, "-m", "benchmarks.peers.predict_proba", str(customers), str(estimator)]
    return run([*command, str(folder / "probabilities.parquet")], {})


def _summarise(rows: int, rounds: Sequence[Sequence[Run]], wanted: str = "") -> Comparison:
    pairs = [[rows / sum(one.seconds.values()) for one in of_round] for of_round in rounds]
    name = f"{rows:,} rows x 30 features, 3 reasons"
    return summarise(name, "rows/s", pairs, "predict_proba on pandas chunks", wanted)


def _artifacts(folder: Path) -> dict[str, str]:
    empty = folder / "empty.yaml"
    empty.touch()
    return {"CHURN_MLOPS__ARTIFACTS__PATH": str(folder / "artifacts"), "CHURN_MLOPS_CONFIG": str(empty)}


def _tell(name: str, one: Run, rows: int) -> Run:
    seconds = sum(one.seconds.values())
    took = f"{seconds:.1f} s, {one.cpu_seconds:.1f} s of processors, {rows / seconds:,.0f} rows/s"
    print(f"{name}: {took}, peak {one.peak_bytes / 2**20:,.0f} MiB", flush=True)
    return one


if __name__ == "__main__":
    main()
