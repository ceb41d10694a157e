"""The training job: table in, evaluated and proven version out."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Final

import joblib
from threadpoolctl import threadpool_limits

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.data.rejects import write_rejects
from churn_mlops.data.table import check_learnable, load_customers
from churn_mlops.models.additive import write_graph
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.logistic import build_logistic, read_logistic
from churn_mlops.models.parity import prove_parity
from churn_mlops.registry.manifest import (
    ESTIMATOR,
    GRAPH,
    REPORT,
    Calibration,
    DataSummary,
    Decision,
    Explanation,
    Manifest,
    ParityFigures,
)
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register, require_writable
from churn_mlops.training.evaluation import evaluate, predict_out_of_fold
from churn_mlops.training.one_column import refuse_leaks
from churn_mlops.training.report.assembly import report_version
from churn_mlops.training.steps import Observer, Step

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable

_LIBRARIES: Final = ("churn-mlops", "scikit-learn", "numpy", "pandas", "onnx", "onnxruntime")
_ADDITIVE: Final = "exact: contributions and the intercept add up to the log-odds before calibration"
_UNNAMED: Final = "00000000T000000Z-00000000"


@dataclass(frozen=True)
class TrainedVersion:
    """What a training job made.

    Attributes:
        manifest: of the version as registered.
        champion: the version that is now served; another one if this one waits to be promoted.
        rejects: where the rejected rows were written.
    """

    manifest: Manifest
    champion: str
    rejects: Path


def train_baseline(settings: Settings, observe: Observer = lambda step: None) -> TrainedVersion:
    """Train, evaluate, export, prove and register the baseline on the table that the configuration names.

    Args:
        settings: the configuration.
        observe: told of every step before it begins.

    Raises:
        ChurnMlopsError: the table, the graph or the artifacts folder is not fit; nothing was registered.
    """
    registry = Registry(settings.artifacts.path)
    require_writable(registry)
    steps = _Steps(observe, total=settings.training.folds + 4)
    with threadpool_limits(limits=available_cpus()):
        steps.begin("reading the customer table")
        table = load_customers(settings.data)
        rejects = _write_rejects(settings, table)
        check_learnable(table)
        steps.begin("looking for leaks")
        folds = DuplicateGroupedKFold(settings.training.folds, settings.training.seed)
        fold = folds.assign(table.features, table.churned)
        refuse_leaks(table, fold, settings.data.allow_leaky)
        estimator = build_logistic(
            table.kinds, settings.data.rare_category_rows, settings.training.folds, settings.training.seed
        )
        probability = predict_out_of_fold(
            estimator, table, fold, lambda number: steps.begin(f"evaluating fold {number + 1}")
        )
        evaluation = evaluate(table, probability, fold, settings.training)
        steps.begin("fitting on all customers")
        estimator.fit(table.features, table.churned)
        signature, additive = read_logistic(estimator, table.features)
        steps.begin("proving the graph, registering")
        graph = write_graph(additive)
        parity = prove_parity(graph, estimator, signature, additive.intercept, table.features)
    draft = Manifest(
        version=_UNNAMED,
        created_at=datetime.now(UTC).replace(microsecond=0),
        sample=table.is_sample,
        model="logistic",
        signature=signature,
        explanation=Explanation(kind="additive", intercept=additive.intercept, method=_ADDITIVE),
        calibration=Calibration(
            kind="sigmoid",
            a=additive.calibration_slope,
            b=additive.calibration_slope,
            c=additive.calibration_offset,
        ),
        decision=Decision(**settings.decision.model_dump()),
        evaluation=evaluation,
        data=_summarise(table),
        parity=ParityFigures(rows=parity.rows, edge_rows=parity.edge_rows),
        libraries={name: library_version(name) for name in _LIBRARIES},
        files={},
    )
    report = report_version(draft, graph, table, probability, settings, registry)
    manifest = register(registry, draft, {GRAPH: graph, ESTIMATOR: _dump(estimator), REPORT: report})
    return TrainedVersion(manifest, registry.champion(), rejects)


@dataclass
class _Steps:
    """Counts the steps as they begin."""

    observe: Observer
    total: int
    number: int = 0

    def begin(self, name: str) -> None:
        self.number += 1
        self.observe(Step(name, self.number, self.total))


def _write_rejects(settings: Settings, table: CustomerTable) -> Path:
    stem = "sample" if table.is_sample else re.sub(r"\.(csv|csv\.gz|parquet)$", "", table.name)
    path = settings.artifacts.path / "rejects" / f"{stem}.csv"
    with explain_unwritable(path.parent):
        write_rejects(path, table.rejects)
    return path


def _summarise(table: CustomerTable) -> DataSummary:
    return DataSummary(
        name=table.name,
        rows_read=table.rows_read,
        rows_used=len(table.features),
        rows_rejected=len(table.rejects),
        rows_repeated=table.repeated_rows,
        churn_rate=float(table.churned.mean()),
        fingerprint=table.fingerprint(),
        left_out=table.left_out,
        notes=table.notes,
    )


def _dump(estimator: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer, compress=3)
    return buffer.getvalue()
