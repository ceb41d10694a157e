"""Candidates: every family fitted on the same folds, calibrated on scores of rows it never saw, and compared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from churn_mlops.models.blend import Blend, fit_weights
from churn_mlops.models.calibration import Calibration, choose_calibration, losses
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.registry.manifest import CandidateScore
from churn_mlops.training.refitting import fit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from churn_mlops.config.settings import Family
    from churn_mlops.data.table import CustomerTable

    Floats = npt.NDArray[np.float64]
    Folds = npt.NDArray[np.intp]

EXPLAINABLE: Final[tuple[Family, ...]] = ("logistic", "ebm")
"""Families whose contributions are exact."""


@dataclass(frozen=True)
class Candidate:
    """A family that was fitted and scored on the folds.

    Attributes:
        family: which one.
        estimator: unfitted, with the settings that tuning chose.
        settings: those, for people.
        raw_log_odds: float64 [rows], out of fold, before calibration.
        calibration: fitted on all of them.
        log_odds: float64 [rows], out of fold, calibrated by what the other folds' scores teach.
        fit_seconds: what its folds took together.
    """

    family: Family
    estimator: Any
    settings: dict[str, float | int | str]
    raw_log_odds: Floats
    calibration: Calibration
    log_odds: Floats
    fit_seconds: float

    @property
    def probability(self) -> Floats:
        """Out-of-fold churn probabilities, float64 [rows]."""
        return 1 / (1 + np.exp(-self.log_odds))

    @property
    def explainable(self) -> bool:
        """Whether its contributions are exact."""
        return self.family in EXPLAINABLE


def cross_validate(
    family: Family,
    estimator: Any,
    settings: dict[str, float | int | str],
    table: CustomerTable,
    fold: Folds,
    rare_category_rows: int,
    on_fold: Callable[[int], None],
) -> Candidate:
    """Fit a family on the other folds and score each fold with it.

    Args:
        family: which one.
        estimator: unfitted; it is cloned, not changed.
        settings: what tuning chose, for people.
        table: the customers.
        fold: int [rows], the fold of each row.
        rare_category_rows: as in the configuration.
        on_fold: told the number of each fold before it begins.
    """
    log_odds = np.empty(len(fold))
    began = time.perf_counter()
    for number in range(int(fold.max()) + 1):
        on_fold(number)
        train, test = fold != number, fold == number
        model = fit_rows(ChurnModel(table.kinds, rare_category_rows, estimator), table, train)
        log_odds[test] = model.decision_function(table.features[test])
    seconds = time.perf_counter() - began
    calibration, calibrated = choose_calibration(log_odds, table.churned, fold)
    return Candidate(family, estimator, settings, log_odds, calibration, calibrated, seconds)


def blend(members: Sequence[Candidate], churned: npt.NDArray[np.bool_], fold: Folds) -> Candidate:
    """Average candidates; each fold by the weights that the other folds' scores teach."""
    began = time.perf_counter()
    together = np.column_stack([member.raw_log_odds for member in members])
    log_odds = np.empty(len(fold))
    for number in range(int(fold.max()) + 1):
        others, here = fold != number, fold == number
        log_odds[here] = together[here] @ fit_weights(together[others], churned[others])
    names = [member.family for member in members]
    weights = dict(zip(names, fit_weights(together, churned).tolist(), strict=True))
    calibration, calibrated = choose_calibration(log_odds, churned, fold)
    estimator = Blend({member.family: member.estimator for member in members}, weights)
    settings: dict[str, float | int | str] = {f"weight of {name}": weight for name, weight in weights.items()}
    seconds = time.perf_counter() - began + sum(member.fit_seconds for member in members)
    return Candidate("blend", estimator, settings, log_odds, calibration, calibrated, seconds)


def choose(candidates: Sequence[Candidate], churned: npt.NDArray[np.bool_]) -> Candidate:
    """Take the lowest log loss, or the best explainable candidate if it is within one standard error of that.

    The standard error is that of the mean difference, customer by customer, which is far smaller than that of either
    log loss (Breiman et al. 1984 have the one-standard-error rule).
    """
    loss = {candidate.family: losses(candidate.log_odds, churned) for candidate in candidates}
    by_loss = sorted(candidates, key=lambda candidate: float(loss[candidate.family].mean()))
    explainable = next((candidate for candidate in by_loss if candidate.explainable), None)
    if explainable is None:
        return by_loss[0]
    worse_by, error = _difference(loss[explainable.family], loss[by_loss[0].family])
    return explainable if worse_by <= error else by_loss[0]


def compare(
    candidates: Sequence[Candidate], chosen: Candidate, churned: npt.NDArray[np.bool_]
) -> tuple[CandidateScore, ...]:
    """Say what each candidate reached, best first, and how sure its distance to the best is."""
    loss = {candidate.family: losses(candidate.log_odds, churned) for candidate in candidates}
    by_loss = sorted(candidates, key=lambda candidate: float(loss[candidate.family].mean()))
    scores = []
    for candidate in by_loss:
        worse_by, error = _difference(loss[candidate.family], loss[by_loss[0].family])
        scores.append(
            CandidateScore(
                family=candidate.family,
                log_loss=float(loss[candidate.family].mean()),
                worse_by=worse_by,
                standard_error=error,
                explainable=candidate.explainable,
                chosen=candidate is chosen,
                settings=candidate.settings | {"calibration": candidate.calibration.kind},
                fit_seconds=round(candidate.fit_seconds, 2),
            )
        )
    return tuple(scores)


def _difference(loss: Floats, best: Floats) -> tuple[float, float]:
    difference = loss - best
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))
