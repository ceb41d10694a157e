"""What a single column can do: the rule every model must beat, and the leak that no column may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from churn_mlops.errors import SuspectedLeak
from churn_mlops.models.metrics import ScoreCounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from churn_mlops.data.table import CustomerTable

LEAK_AUC: Final = 0.98
"""From this ROC AUC on, a single column is suspected of having been recorded after the customer left."""

_BINS: Final = 20
_PRIOR_ROWS: Final = 20
_PRESENT_ENOUGH: Final = 0.01


@dataclass(frozen=True)
class ColumnRule:
    """The churn rate by bins (numbers) or values (others) of one column, as a prediction.

    Attributes:
        column: the feature.
        probability: float64 [rows], out of fold; NaN for rows that are in none.
        counts: the same with the outcomes, ready for metrics; of the rows that are in a fold.
    """

    column: str
    probability: npt.NDArray[np.float64]
    counts: ScoreCounts


class Leak(NamedTuple):
    """A column that all but decides the target.

    Attributes:
        column: its name.
        how: by its value (empty), or "by being missing or not".
        roc_auc: on its own.
    """

    column: str
    how: str
    roc_auc: float


def find_best_rule(table: CustomerTable, fold: npt.NDArray[np.intp]) -> ColumnRule:
    """Find the column whose rule has the lowest out-of-fold log loss; `fold` is int [rows], below 0 where untested."""
    rules = (_fit_rule(str(name), values, table.churned, fold) for name, values in table.features.items())
    return min(rules, key=lambda rule: rule.counts.metrics().log_loss)


def refuse_leaks(table: CustomerTable, fold: npt.NDArray[np.intp], allowed: tuple[str, ...]) -> None:
    """Refuse a table in which one column, or where it is missing, all but decides the target.

    Columns that were left out are looked at too: a date of cancellation is no feature, but its absence from those
    who stayed should not go by without a word.

    Raises:
        SuspectedLeak: for the first such column that is not `allowed`.
    """
    for leak in find_leaks(table, fold):
        if leak.column not in allowed:
            raise SuspectedLeak(*leak)


def find_leaks(table: CustomerTable, fold: npt.NDArray[np.intp]) -> Iterator[Leak]:
    """Find the columns that, alone or by where they are missing, all but decide the target."""
    return (leak for leak in map(Leak._make, _suspects(table, fold)) if leak.roc_auc >= LEAK_AUC)


def fit_rule(table: CustomerTable, column: str, fold: npt.NDArray[np.intp]) -> ColumnRule:
    """Fit the rule of one column, out of fold."""
    return _fit_rule(column, table.features[column], table.churned, fold)


def _suspects(table: CustomerTable, fold: npt.NDArray[np.intp]) -> Iterator[tuple[str, str, float]]:
    missing = {str(name): values.isna().to_numpy() for name, values in table.features.items()}
    for column, absent in (missing | table.left_out_missing).items():
        if absent.any():
            yield column, "by being missing or not", _two_sided_auc(table.churned, absent.astype(float))
    for name, values in table.features.items():
        yield str(name), "", _fit_rule(str(name), values, table.churned, fold).counts.metrics().roc_auc
        if table.kinds[str(name)] == "numeric" and values.notna().mean() >= _PRESENT_ENOUGH:
            yield str(name), "", _two_sided_auc(table.churned, values.fillna(values.median()).to_numpy())


def _two_sided_auc(churned: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    auc = ScoreCounts.count(churned, score).metrics().roc_auc
    return max(auc, 1 - auc)


def _fit_rule(column: str, values: pd.Series, churned: npt.NDArray[np.bool_], fold: npt.NDArray[np.intp]) -> ColumnRule:
    levels, _ = pd.factorize(_coarsen(values), use_na_sentinel=False)
    probability = np.full(len(values), np.nan)
    for number in range(int(fold.max()) + 1):
        train, test = fold != number, fold == number
        left = np.bincount(levels[train], churned[train], levels.max() + 1)
        customers = np.bincount(levels[train], minlength=levels.max() + 1)
        base_rate = churned[train].mean()
        # a level seen rarely is drawn towards the base rate, one never seen is the base rate
        probability[test] = ((left + _PRIOR_ROWS * base_rate) / (customers + _PRIOR_ROWS))[levels[test]]
    held_out = fold >= 0
    return ColumnRule(column, probability, ScoreCounts.count(churned[held_out], probability[held_out]))


def _coarsen(values: pd.Series) -> pd.Series:
    if not pd.api.types.is_float_dtype(values) or values.nunique() <= _BINS:
        return values
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)))
    return pd.Series(np.searchsorted(edges[1:-1], values, side="right")).where(values.notna().to_numpy(), np.nan)
