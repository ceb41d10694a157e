"""The contest: tunes and cross-validates the families asked for on the same folds, and chooses one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from churn_mlops.errors import MissingLibrary
from churn_mlops.training.candidates import Candidate, blend, choose, cross_validate
from churn_mlops.training.forecast import forecast_contest
from churn_mlops.training.tuning import tune

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from churn_mlops.config.settings import Family, Settings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.training.steps import Steps

Model = Literal["logistic", "ebm", "boosted", "blend", "auto"]

_FITTED: Final[dict[Model, tuple[Family, ...]]] = {
    "logistic": ("logistic",),
    "ebm": ("ebm",),
    "boosted": ("boosted",),
    "blend": ("boosted", "ebm"),
    "auto": ("logistic", "boosted", "ebm"),
}
"""Which families a model needs; a blend is made of what its members have said already."""


@dataclass(frozen=True)
class Contest:
    """The candidates and the one chosen."""

    candidates: tuple[Candidate, ...]
    chosen: Candidate


def forecast(model: Model, settings: Settings, rows: int) -> list[float]:
    """Expect seconds of each step that a contest takes on so many rows: a tuning and the folds, for each family."""
    return forecast_contest(_FITTED[model], settings, rows)


def run_contest(
    model: Model, table: CustomerTable, fold: npt.NDArray[np.intp], settings: Settings, steps: Steps
) -> Contest:
    """Tune and cross-validate what a model needs.

    Args:
        model: a family, or auto for all of them.
        table: the customers.
        fold: int [rows], the same for every family.
        settings: the configuration; tuning of all families together takes about
            `training.budget_seconds` at most, in equal parts.
        steps: told of each tuning and fold.
    """
    families = _FITTED[model]
    budget_seconds = settings.training.budget_seconds / len(families)
    candidates = []
    for family in families:
        last_step = steps.number + 1 + settings.training.folds
        try:
            candidates.append(_run_family(family, budget_seconds, table, fold, settings, steps))
        except MissingLibrary as error:
            if model != "auto":
                raise
            steps.detail(f"left out: {error}")
            steps.skip_to(last_step)
    members = [candidate for candidate in candidates if candidate.family != "logistic"]
    if model in ("blend", "auto") and len(members) > 1:
        candidates.append(blend(members, table.churned, fold))
    if model == "blend":
        return Contest(tuple(candidates), candidates[-1])
    return Contest(tuple(candidates), choose(candidates, table.churned))


def _run_family(
    family: Family,
    budget_seconds: float,
    table: CustomerTable,
    fold: npt.NDArray[np.intp],
    settings: Settings,
    steps: Steps,
) -> Candidate:
    steps.begin(f"{family}: tuning")
    tuned = tune(family, table, settings, time.monotonic() + budget_seconds, steps.detail)
    return cross_validate(
        family,
        tuned.estimator,
        tuned.settings,
        table,
        fold,
        settings.data.rare_category_rows,
        lambda number: steps.begin(f"{family}: fold {number + 1}"),
    )
