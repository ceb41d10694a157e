"""How long the steps of a training job will take, so that it can say how much time is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from churn_mlops.training.learning_curve import SHARES, TESTED_FOLDS
from churn_mlops.training.tuning import TUNING_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.config.settings import Family, Settings

_SECONDS_PER_ROW: Final[dict[Family, float]] = {"logistic": 3e-5, "boosted": 3e-4, "ebm": 1.6e-4}
"""Of fitting on a row with 30 features, on two cores; for other machines and tables it is corrected as steps end."""

_TRIALS: Final = 2.5
"""Fits on all of the rows to tune on that a tuning is worth: it tries a few settings with fewer bags."""

_SECONDS_PER_SCORED_ROW: Final = 4e-5
_SECONDS_OF_REPORT: Final = 8.0


def forecast_contest(families: Sequence[Family], settings: Settings, rows: int) -> list[float]:
    """Expect seconds of a tuning and of each fold, for each family, on a table of so many rows."""
    budget_seconds, folds = settings.training.budget_seconds / len(families), settings.training.folds
    expected = []
    for family in families:
        per_row = _SECONDS_PER_ROW[family]
        expected.append(min(budget_seconds, _TRIALS * per_row * min(rows, TUNING_ROWS)))
        expected += [per_row * rows * (folds - 1) / folds] * folds
    return expected


def forecast_fits(fit_seconds: float, settings: Settings, rows: int, rows_used: int, repeats: bool) -> list[float]:
    """Expect seconds of what follows the contest: looking closer, the final fit, further horizons, and the graph.

    Args:
        fit_seconds: what fitting the chosen model in a fold takes.
        settings: the configuration.
        rows: how many rows are evaluated on.
        rows_used: how many the final fit is on.
        repeats: whether rows repeat, so that the leak report deals them out anew.
    """
    folds = settings.training.folds
    looks = []
    if settings.evaluation.leak_report:
        is_of_snapshots = settings.data.source == "events"  # which are looked at in three ways, fold by fold
        fits = 3 * folds if is_of_snapshots else folds * repeats + (settings.data.time is not None)
        looks.append(fit_seconds * fits)
    if settings.evaluation.learning_curve:
        looks.append(fit_seconds * TESTED_FOLDS * sum(SHARES))
    final = fit_seconds * rows_used / max(1, rows) * folds / (folds - 1)
    further = len(set(settings.churn.horizon_days)) - 1 if settings.data.source == "events" else 0
    each = fit_seconds * (folds + 1) + final  # its folds, the test, and the fit on all rows
    return [*looks, final, *[each] * further, _SECONDS_OF_REPORT + _SECONDS_PER_SCORED_ROW * rows_used]
