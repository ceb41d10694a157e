"""The leak report of snapshots: what a model seems to do when time, or customers, are not held apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.registry.manifest import LeakCheck, LeakScheme

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from churn_mlops.config.settings import TrainingSettings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.models.metrics import Metrics
    from churn_mlops.training.refitting import FitPredict, Rows


def build_snapshot_leak_report(
    fit_predict: FitPredict,
    table: CustomerTable,
    honest: Metrics,
    settings: TrainingSettings,
    observe: Callable[[str], None],
) -> tuple[LeakCheck, ...]:
    """Evaluate a model on rows dealt out at random, on whole customers, on later and unseen customers, and later.

    The last is the main evaluation. The first two mix the snapshots, as an evaluation that forgets time would: they say
    what it would have claimed.

    Args:
        fit_predict: fits the model on some rows and scores others.
        table: with the rows of the test snapshots `held_out`.
        honest: what the main evaluation found.
        settings: whose folds and seed deal rows out.
        observe: told what is evaluated before it is.
    """
    assert table.held_out is not None  # noqa: S101 - it is a table of snapshots
    everything, later = np.arange(len(table.churned)), table.held_out
    random = np.random.default_rng(settings.seed).permutation(everything % settings.folds)
    grouped = DuplicateGroupedKFold(settings.folds, settings.seed)
    by_customer = grouped.assign(table.features, table.churned, table.customer_ids)

    def check(scheme: LeakScheme, fold: Rows, fitted: npt.NDArray[np.bool_], tested: Rows, note: str) -> LeakCheck:
        observe(scheme)
        probability = np.full(len(everything), np.nan)
        for number in range(settings.folds):
            test = tested[fold[tested] == number]
            if len(test):
                probability[test] = fit_predict(np.flatnonzero(fitted & (fold != number)), test)
        figures = ScoreCounts.count(table.churned[tested], probability[tested]).metrics()
        return LeakCheck(scheme=scheme, roc_auc=figures.roc_auc, log_loss=figures.log_loss, note=note)

    all_rows = np.ones(len(everything), dtype=bool)
    return (
        check(
            "random rows",
            random,
            all_rows,
            everything,
            "rows of all snapshots dealt out at random: what a random split would have claimed",
        ),
        check(
            "grouped duplicates",
            by_customer,
            all_rows,
            everything,
            "whole customers dealt out, of all snapshots: unseen customers, but at times that were learnt from",
        ),
        check(
            "unseen customers",
            by_customer,
            ~later,
            np.flatnonzero(later),
            "the test snapshots, by models fitted on other customers at earlier snapshots",
        ),
        LeakCheck(
            scheme="later period",
            roc_auc=honest.roc_auc,
            log_loss=honest.log_loss,
            note="the evaluation of this version: test snapshots, after the outcomes it was fitted on were known",
        ),
    )
