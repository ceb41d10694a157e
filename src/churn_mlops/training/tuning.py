"""Tuning: the few settings that matter, tried on rows held out, until the budget is spent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from sklearn.base import clone

from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.calibration import losses
from churn_mlops.models.ebm import AdditiveBoosting
from churn_mlops.models.folds import deal_bags, fit_clone
from churn_mlops.models.frame_encoder import FrameEncoder
from churn_mlops.models.logistic import build_logistic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.config.settings import Family, Settings
    from churn_mlops.data.table import CustomerTable

    Floats = npt.NDArray[np.float64]

TUNING_ROWS: Final = 20_000
"""Settings are tried on at most so many customers, drawn at random: the ranking of settings needs no more."""

_PARTS: Final = 4
_JUDGED: Final = 2
"""The rows are dealt out to four parts; a setting is fitted on all but one and judged on that one, for two of them."""

_BAGS: Final = 3
"""Models that are averaged in a trial: fewer than in the end, since all settings gain alike by more."""


class _Rows(NamedTuple):
    """Customers to try settings on: encoded, with outcomes, ids and parts; the first axis of each is [rows]."""

    matrix: Floats
    churned: npt.NDArray[np.bool_]
    customer_ids: pd.Series | None
    part: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Tuned:
    """What tuning chose.

    Attributes:
        estimator: unfitted, with the chosen settings.
        settings: for people; how many of the settings were tried is among them.
    """

    estimator: Any
    settings: dict[str, float | int | str]


def tune(
    family: Family, table: CustomerTable, settings: Settings, deadline: float, on_trial: Callable[[str], None]
) -> Tuned:
    """Try a family's settings in order, the default first, and keep the best.

    Another setting takes the default's place only if its log loss on held-out rows is lower by more than the standard
    error of the difference: of many settings one is always luckier than the default.

    Args:
        family: logistic, ebm or boosted.
        table: the customers.
        settings: the configuration.
        deadline: `time.monotonic()` after which no further setting is begun.
        on_trial: told in words before each.
    """
    grid = _GRIDS[family]
    rows = _draw(table, settings)
    estimators = [_build(family, table, settings, choice) for choice in grid]
    default = best = _judge(estimators[0], rows) if len(grid) > 1 else np.zeros(1)
    chosen, tried = 0, 1
    for place in range(1, len(grid)):
        if time.monotonic() > deadline:
            break
        on_trial(_describe(grid[place]))
        loss = _judge(estimators[place], rows)
        tried += 1
        gain = default - loss
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) and loss.mean() < best.mean():
            chosen, best = place, loss
    told = dict(grid[chosen]) | ({"settings tried": f"{tried} of {len(grid)}"} if len(grid) > 1 else {})
    return Tuned(estimators[chosen], told)


_GRIDS: Final[dict[Family, tuple[dict[str, float | int | str], ...]]] = {
    "logistic": ({"penalty": 1.0}, {"penalty": 10.0}, {"penalty": 0.1}),
    "ebm": (
        {"interactions": 20, "l2": 1.0},
        {"interactions": 0, "l2": 1.0},
        {"interactions": 20, "l2": 0.0},
    ),
    "boosted": (
        {"num_leaves": 15, "l2": 0.0},
        {"num_leaves": 31, "l2": 0.0},
        {"num_leaves": 7, "l2": 0.0},
        {"num_leaves": 15, "l2": 5.0},
        {"num_leaves": 31, "l2": 5.0},
        {"num_leaves": 4, "l2": 0.0},
    ),
}


def _build(family: Family, table: CustomerTable, settings: Settings, choice: dict[str, Any]) -> Any:
    if family == "logistic":
        return build_logistic(table.kinds, **choice)
    builder = AdditiveBoosting if family == "ebm" else BoostedTrees
    return builder(seed=settings.training.seed, **choice)


def _draw(table: CustomerTable, settings: Settings) -> _Rows:
    """Encode the customers, or a random part of them, and deal them out to parts."""
    seed, rows = settings.training.seed, np.arange(len(table.churned))
    if len(rows) > TUNING_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, TUNING_ROWS, replace=False))
    frame, churned = table.features.iloc[rows].reset_index(drop=True), table.churned[rows]
    matrix = FrameEncoder(table.kinds, settings.data.rare_category_rows).fit(frame, churned).transform(frame)
    ids = None if table.customer_ids is None else table.customer_ids.iloc[rows]
    return _Rows(matrix, churned, ids, deal_bags(matrix, churned, _PARTS, seed, ids))


def _judge(estimator: Any, rows: _Rows) -> Floats:
    """Give the log loss of every row of the parts that are held out in turn."""
    fewer = clone(estimator)
    if "bags" in fewer.get_params():
        fewer.set_params(bags=_BAGS)
    return np.concatenate([_judge_part(fewer, rows, number) for number in range(_JUDGED)])


def _judge_part(estimator: Any, rows: _Rows, number: int) -> Floats:
    train, test = rows.part != number, rows.part == number
    ids = None if rows.customer_ids is None else rows.customer_ids[train]
    fitted = fit_clone(estimator, rows.matrix[train], rows.churned[train], ids)
    return losses(fitted.decision_function(rows.matrix[test]), rows.churned[test])


def _describe(choice: dict[str, float | int | str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in choice.items())
