"""The leak report: the same model under other ways of holding customers out, beside the honest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from churn_mlops.data.table import FEWEST_CHURNERS
from churn_mlops.errors import DataError
from churn_mlops.models.metrics import Metrics, ScoreCounts
from churn_mlops.registry.manifest import LeakCheck, LeakScheme
from churn_mlops.training.refitting import Rows, keep_together

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.training.refitting import FitPredict

LATER_SHARE: Final = 0.2
"""The share of rows, as near as the times allow, that the later period is."""

_FEWEST_TESTED: Final = 10


@dataclass(frozen=True)
class _Work:
    """What every check needs: the model, the customers, how the honest evaluation held them out, what it found."""

    fit_predict: FitPredict
    table: CustomerTable
    fold: Rows
    honest: Metrics
    seed: int
    observe: Callable[[str], None]


def build_leak_report(
    fit_predict: FitPredict,
    table: CustomerTable,
    fold: Rows,
    honest: Metrics,
    settings: TrainingSettings,
    observe: Callable[[str], None] = lambda name: None,
) -> tuple[LeakCheck, ...]:
    """Evaluate a model on random rows, grouped duplicates, unseen customers and a later period, in this order.

    Grouped duplicates are the main evaluation. Fitting again is left out where it could only find the same: random
    rows cost one more cross-validation where rows repeat, a later period one fit where there are times.

    Args:
        fit_predict: fits the model on some rows and scores others.
        table: the customers.
        fold: int [rows], the folds of the main evaluation.
        honest: what the main evaluation found.
        settings: whose seed deals out repeated rows.
        observe: told what is evaluated before it is.
    """
    kept_together = keep_together(table)
    work = _Work(fit_predict, table, fold, honest, settings.seed, observe)
    return (
        _check_random_rows(work, kept_together),
        _found("grouped duplicates", honest, "the evaluation of this version: what repeats shares a fold"),
        _check_unseen_customers(work),
        _check_later_period(work),
    )


def _check_random_rows(work: _Work, kept_together: Rows) -> LeakCheck:
    """Deal out rows at random, so that one may be tested by a model that saw its twin.

    Only the rows that repeat an earlier one are dealt out anew; as each of them lands in any fold alike, so do rows
    under a random split. All others keep the fold they had, so that no luck of the draw hides the difference.
    """
    repeats = pd.Series(kept_together).duplicated().to_numpy()
    if not repeats.any():
        return _found("random rows", work.honest, "no row repeats another's features or customer: nothing to part")
    churned = work.table.churned
    first_outcome = pd.Series(churned).groupby(kept_together).transform("first").to_numpy(dtype=bool)
    contradict = int((repeats & (churned != first_outcome)).sum())
    fold = _deal_out(repeats, churned, work.fold, work.seed)
    note = (
        f"{repeats.sum():,} rows repeat an earlier one's features or customer ({contradict:,} with the other outcome)"
    )
    return _measure_folds(work, "random rows", fold, f"{note}; dealt out at random")


def _deal_out(repeats: npt.NDArray[np.bool_], churned: npt.NDArray[np.bool_], fold: Rows, seed: int) -> Rows:
    random, dealt = np.random.default_rng(seed), fold.copy()
    for outcome in (True, False):
        places = np.flatnonzero(repeats & (churned == outcome))
        dealt[places] = random.permutation(np.arange(len(places)) % (fold.max() + 1))
    return dealt


def _measure_folds(work: _Work, scheme: LeakScheme, fold: Rows, note: str) -> LeakCheck:
    work.observe(scheme)
    probability = np.empty(len(fold))
    for number in range(int(fold.max()) + 1):
        test = fold == number
        probability[test] = work.fit_predict(np.flatnonzero(~test), np.flatnonzero(test))
    return _found(scheme, _score(work, np.arange(len(fold)), probability), note)


def _check_unseen_customers(work: _Work) -> LeakCheck:
    if work.table.customer_ids is None:
        return _impossible("unseen customers", "data.customer_id names no column, so whose rows repeat is not known")
    repeated = work.table.repeated_customers
    if repeated == 0:
        return _found("unseen customers", work.honest, "every customer has one row, so each is unseen when tested")
    note = f"{repeated:,} customers have several rows, which share a fold in the evaluation of this version already"
    return _found("unseen customers", work.honest, note)


def _check_later_period(work: _Work) -> LeakCheck:
    if work.table.time is None:
        return _impossible("later period", "data.time names no column")
    time = work.table.time
    if time.nunique() < 2:
        return _impossible("later period", f"every row is of {_show(time.iloc[0])}")
    cut = _find_cut(time)
    later = (time >= cut).to_numpy()
    train, test = np.flatnonzero(~later), np.flatnonzero(later)
    spans = f"fitted on {len(train):,} rows before {_show(cut)}, tested on the {len(test):,} from then on"
    if _rarer(work, train) < FEWEST_CHURNERS or _rarer(work, test) < _FEWEST_TESTED:
        return _impossible("later period", f"too few churners or customers who stayed to be {spans}")
    work.observe("later period")
    try:
        probability = work.fit_predict(train, test)
    except DataError as error:
        return _impossible("later period", f"nothing could be {spans}: {error}")
    note = f"{spans}; no gap was left for outcomes that were not known yet"
    return _found("later period", _score(work, test, probability), note)


def _find_cut(time: pd.Series) -> pd.Timestamp:
    """Find the time from which on about `LATER_SHARE` of the rows lie; rows of one time are not parted."""
    counts = time.value_counts().sort_index(ascending=False)
    later = counts.cumsum()[:-1] / len(time)  # the earliest time of all leaves nothing to fit on
    cut: pd.Timestamp = later.index[int(np.abs(later.to_numpy() - LATER_SHARE).argmin())]
    return cut


def _rarer(work: _Work, rows: Rows) -> int:
    churners = int(work.table.churned[rows].sum())
    return min(churners, len(rows) - churners)


def _show(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _score(work: _Work, rows: Rows, probability: npt.NDArray[np.float64]) -> Metrics:
    return ScoreCounts.count(work.table.churned[rows], probability).metrics()


def _found(scheme: LeakScheme, metrics: Metrics, note: str) -> LeakCheck:
    return LeakCheck(scheme=scheme, roc_auc=metrics.roc_auc, log_loss=metrics.log_loss, note=note)


def _impossible(scheme: LeakScheme, note: str) -> LeakCheck:
    return LeakCheck(scheme=scheme, roc_auc=None, log_loss=None, note=note)
