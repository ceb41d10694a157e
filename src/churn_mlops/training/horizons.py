"""Learns the outcomes of further horizons with the model that was chosen for the main one; nothing is tuned again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from churn_mlops.data.table import FEWEST_CHURNERS
from churn_mlops.errors import DataError
from churn_mlops.models.calibration import choose_calibration
from churn_mlops.models.coherence import make_coherent
from churn_mlops.models.export import export_model
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.models.parity import prove_parity
from churn_mlops.registry.manifest import Calibration, Explanation, Horizon, ParityFigures
from churn_mlops.training.evaluation import estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.training.refitting import Rows
    from churn_mlops.training.snapshot_table import SnapshotTable
    from churn_mlops.training.steps import Steps
    from churn_mlops.training.trial import Trial

    Floats = npt.NDArray[np.float64]
    Outcome = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LearntHorizon:
    """A further horizon: what the manifest says of it, the probabilities behind that, and its graph.

    Attributes:
        horizon: for the manifest.
        graph: content of its file.
        model: the fitted estimator.
    """

    horizon: Horizon
    graph: bytes
    model: ChurnModel


def check_horizons(table: SnapshotTable, is_sample: bool = False) -> None:
    """Refuse outcomes that are too rare to be learnt, before anything else is.

    Args:
        table: all rows, or those that are evaluated on.
        is_sample: whether it is some rows of a table that has enough of them.

    Raises:
        DataError: one is; the sentence says which.
    """
    assert table.held_out is not None  # noqa: S101 - some snapshots are to test on
    for days, outcome in table.further.items():
        learnt, tested = outcome[~table.held_out], outcome[table.held_out]
        rarer = min(int(learnt.sum()), int((~learnt).sum()))
        if rarer < FEWEST_CHURNERS or not 0 < tested.sum() < len(tested):
            of, remedy = ("sampled customers", ", or raise evaluation.max_rows") if is_sample else ("customers", "")
            raise DataError(
                f"Within {days} days, {int(learnt.sum()):,} of {len(learnt):,} {of} of the training snapshots "
                f"left, and {int(tested.sum()):,} of {len(tested):,} of the test snapshots: at least "
                f"{FEWEST_CHURNERS} with each outcome are needed to learn from, and one to test on. Take {days} out of "
                f"churn.horizon_days{remedy}."
            )


def learn_horizons(
    model: ChurnModel, table: SnapshotTable, trial: Trial, settings: TrainingSettings, steps: Steps
) -> tuple[LearntHorizon, ...]:
    """Fit the chosen model to the outcome of every further horizon, each with a calibration of its own.

    Each is calibrated on the folds of the contest, tested on the test snapshots, and fitted on all rows, as the main
    one was. Features are encoded as for the main one, so that a customer is encoded once. The figures are those of the
    probabilities that are given: coherent with those of the other horizons.

    Args:
        model: as chosen for the main horizon; clones of it are fitted.
        table: all rows.
        trial: of the main horizon; its table has the rows to evaluate on.
        settings: resamples and seed of the intervals.
        steps: told of each horizon.
    """
    evaluated = trial.table
    assert isinstance(evaluated, type(table))  # noqa: S101 - rows of it
    models, probabilities = [], {}
    for days, outcome in evaluated.further.items():
        steps.begin(f"learning who leaves within {days} days")
        calibrated = _calibrate(model, evaluated, outcome, trial)
        learnt, tested = np.flatnonzero(trial.fold < 0), trial.rows
        fitted = _fit(calibrated, evaluated, outcome, learnt)
        probabilities[days] = fitted.predict_proba(evaluated.features.iloc[tested])[:, 1]
        models.append(_fit(calibrated, table, table.further[days], np.arange(len(table.churned))))
    churn = table.event_features.churn
    main = trial.probability[trial.rows]
    coherent = make_coherent(main, churn.horizon_days[0], probabilities, churn.definition)
    return tuple(
        _export(days, fitted, table, evaluated.further[days][trial.rows], probability, settings)
        for fitted, (days, probability) in zip(models, coherent.items(), strict=True)
    )


def _calibrate(model: ChurnModel, table: SnapshotTable, outcome: Outcome, trial: Trial) -> ChurnModel:
    """Give the model with the calibration that its out-of-fold log-odds ask for."""
    learnt = np.flatnonzero(trial.fold < 0)
    fold = trial.contested[learnt]
    log_odds = np.empty(len(learnt))
    for number in range(int(fold.max()) + 1):
        fitted = _fit(model, table, outcome, learnt[fold != number])
        log_odds[fold == number] = fitted.decision_function(table.features.iloc[learnt[fold == number]])
    calibration, _ = choose_calibration(log_odds, outcome[learnt], fold)
    calibrated: ChurnModel = clone(model).set_params(calibration=calibration)
    return calibrated


def _fit(model: ChurnModel, table: SnapshotTable, outcome: Outcome, rows: Rows) -> ChurnModel:
    ids = None if table.customer_ids is None else table.customer_ids.iloc[rows]
    fitted: ChurnModel = clone(model)
    features = table.features.iloc[rows].reset_index(drop=True)
    return fitted.fit(features, outcome[rows], ids, coded_by=table.churned[rows])


def _export(
    days: int,
    fitted: ChurnModel,
    table: SnapshotTable,
    outcome: Outcome,
    probability: Floats,
    settings: TrainingSettings,
) -> LearntHorizon:
    exported = export_model(fitted, table.features)
    parity = prove_parity(exported, fitted, table.features)
    horizon = Horizon(
        days=days,
        churn_rate=float(outcome.mean()),
        metrics=estimate(ScoreCounts.count(outcome, probability), settings),
        explanation=Explanation(kind=exported.contributions, intercept=exported.intercept, method=exported.method),
        calibration=Calibration(**asdict(fitted.calibration)),
        parity=ParityFigures(rows=parity.rows, edge_rows=parity.edge_rows),
    )
    return LearntHorizon(horizon, exported.graph, fitted)
