"""The training job: table in, evaluated and proven version out."""

from __future__ import annotations

import io
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Final

import joblib
from threadpoolctl import threadpool_limits

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.data.rejects import write_rejects
from churn_mlops.data.table import check_learnable
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.export import export_model
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.parity import prove_parity
from churn_mlops.registry.manifest import (
    ESTIMATOR,
    EVENT_PROGRAM,
    GRAPH,
    OUT_OF_FOLD,
    REPORT,
    Calibration,
    DataSummary,
    Explanation,
    Manifest,
    ParityFigures,
)
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register, require_writable
from churn_mlops.training.closer_look import look_closer
from churn_mlops.training.contest import Model, forecast, run_contest
from churn_mlops.training.deciding import choose_decision
from churn_mlops.training.evaluation import evaluate
from churn_mlops.training.forecast import forecast_fits
from churn_mlops.training.horizons import check_horizons, learn_horizons
from churn_mlops.training.loading import load_table
from churn_mlops.training.one_column import refuse_leaks
from churn_mlops.training.out_of_fold import collect_out_of_fold
from churn_mlops.training.refitting import refit, sample_rows
from churn_mlops.training.report.assembly import report_version
from churn_mlops.training.snapshot_table import SnapshotTable
from churn_mlops.training.steps import Observer, Steps
from churn_mlops.training.trial import hold_trial, learnt_rows

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.training.candidates import Candidate

_LIBRARIES: Final = (
    "churn-mlops",
    "scikit-learn",
    "numpy",
    "pandas",
    "onnx",
    "onnxruntime",
    "interpret-core",
    "lightgbm",
)
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
    """Train the baseline, logistic regression, on the table that the configuration names; see `train`."""
    return train(settings, "logistic", observe)


def train(settings: Settings, model: Model, observe: Observer = lambda step: None) -> TrainedVersion:
    """Train, evaluate, export, prove and register a model on the table that the configuration names.

    Args:
        settings: the configuration.
        model: a family, or auto to compare them all.
        observe: told of every step before it begins.

    Raises:
        ChurnMlopsError: the table, the graph or the artifacts folder is not fit; nothing was registered.
    """
    registry = Registry(settings.artifacts.path)
    require_writable(registry)
    steps = Steps(observe, [0.0] * (2 + len(_forecast(model, settings))))
    with threadpool_limits(limits=available_cpus()):
        steps.begin("reading the event log" if settings.data.source == "events" else "reading the customer table")
        table = load_table(settings, settings.decision.value_column, settings.evaluation.segments)
        rejects = _write_rejects(settings, table)
        check_learnable(table)
        events = table if isinstance(table, SnapshotTable) else None
        if events is not None:
            check_horizons(events)
        steps.begin("looking for leaks")
        rows = sample_rows(table, settings.evaluation.max_rows, settings.training.seed)
        evaluated = table if len(rows) == len(table.churned) else table.take(rows)
        if isinstance(evaluated, SnapshotTable) and evaluated is not table:
            check_horizons(evaluated, is_sample=True)
        folds = DuplicateGroupedKFold(settings.training.folds, settings.training.seed)
        learnt = evaluated if evaluated.held_out is None else evaluated.take(learnt_rows(evaluated))
        fold = folds.assign(learnt.features, learnt.churned, learnt.customer_ids)
        refuse_leaks(learnt, fold, settings.data.allow_leaky)
        steps.expect(_forecast(model, settings, evaluated, len(table.churned)))
        contest = run_contest(model, learnt, fold, settings, steps)
        steps.expect(_forecast_rest(contest.chosen, settings, evaluated, len(table.churned)))
        chosen = _build(contest.chosen, table, settings)
        trial = hold_trial(evaluated, contest.chosen, chosen, fold)
        tested, probability = trial.tested()
        # who can be contacted are the customers of a day, not those of all snapshots
        decision = choose_decision(settings, tested, probability, everyone=table if table.held_out is None else tested)
        evaluation = evaluate(trial, contest, settings.training, len(table.churned))
        evaluation = look_closer(evaluation, refit(chosen, evaluated), trial, decision, settings, steps)
        steps.begin("fitting on all customers")
        fitted = chosen.fit(table.features, table.churned, table.customer_ids)
        further = learn_horizons(chosen, events, trial, settings.training, steps) if events else ()
        steps.begin("proving the graph, registering")
        exported = export_model(fitted, table.features)
        parity = prove_parity(exported, fitted, table.features)
    draft = Manifest(
        version=_UNNAMED,
        created_at=datetime.now(UTC).replace(microsecond=0),
        sample=table.is_sample,
        model=contest.chosen.family,
        signature=fitted.signature.with_wordings(events.wordings) if events else fitted.signature,
        explanation=Explanation(kind=exported.contributions, intercept=exported.intercept, method=exported.method),
        calibration=Calibration(**asdict(fitted.calibration)),
        decision=decision,
        evaluation=evaluation,
        data=_summarise(table),
        parity=ParityFigures(rows=parity.rows, edge_rows=parity.edge_rows),
        event_features=events.event_features if events else None,
        horizons=tuple(one.horizon for one in further),
        libraries={name: library_version(name) for name in _LIBRARIES},
        files={},
    )
    files = {
        GRAPH: exported.graph,
        **{one.horizon.graph: one.graph for one in further},
        ESTIMATOR: _dump(fitted),
        OUT_OF_FOLD: collect_out_of_fold(table, fitted.signature, rows, *trial.every_row()).to_csv(),
        REPORT: report_version(draft, exported.graph, fitted.family_, tested, probability, settings, registry),
    }
    if events and events.event_program:
        files[EVENT_PROGRAM] = events.event_program.model_dump_json(indent=1).encode()
    manifest = register(registry, draft, files)
    return TrainedVersion(manifest, registry.champion(), rejects)


def _forecast(
    model: Model, settings: Settings, evaluated: CustomerTable | None = None, rows_used: int = 0
) -> list[float]:
    """Expect seconds of everything from the contest on; before the table is read, as many zeros."""
    rows = 0 if evaluated is None else len(evaluated.churned)
    contest = forecast(model, settings, rows)
    # which family will be chosen is not known yet: the one whose folds take longest
    fit_seconds = max(contest[settings.training.folds :: settings.training.folds + 1])
    return contest + forecast_fits(fit_seconds, settings, rows, rows_used, _repeats(evaluated))


def _repeats(table: CustomerTable | None) -> bool:
    return table is not None and bool(table.repeated_rows or table.repeated_customers)


def _forecast_rest(chosen: Candidate, settings: Settings, evaluated: CustomerTable, rows_used: int) -> list[float]:
    fit_seconds = chosen.fit_seconds / settings.training.folds
    return forecast_fits(fit_seconds, settings, len(evaluated.churned), rows_used, _repeats(evaluated))


def _build(chosen: Candidate, table: CustomerTable, settings: Settings) -> ChurnModel:
    return ChurnModel(table.kinds, settings.data.rare_category_rows, chosen.estimator, chosen.calibration)


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
        customers_repeated=table.repeated_customers,
        churn_rate=float(table.churned.mean()),
        fingerprint=table.fingerprint(),
        left_out=table.left_out,
        notes=table.notes,
    )


def _dump(estimator: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer, compress=3)
    return buffer.getvalue()
