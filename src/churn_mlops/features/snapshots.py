"""Chooses the snapshot dates of an event log, so that outcomes are known and test snapshots are really later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from churn_mlops.data.events.meaning import to_date
from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from churn_mlops.config.settings import ChurnSettings


@dataclass(frozen=True)
class Snapshots:
    """The days on which customers are looked at.

    Attributes:
        training: ascending.
        test: ascending; outcomes of the training snapshots were known before the first of them.
        log_ends: microseconds since 1970 of the last event: outcomes are known up to it.
    """

    training: tuple[date, ...]
    test: tuple[date, ...]
    log_ends: int


def choose_snapshots(churn: ChurnSettings, first: int, last: int) -> Snapshots:
    """Choose training and test snapshots, or check those that the configuration names.

    Args:
        churn: what leaving means and how far snapshots are apart.
        first: time of the first event, microseconds since 1970.
        last: of the last one.

    Raises:
        DataError: an outcome is not known yet, training and test are not apart, or the log is too short.
    """
    begins, ends = to_date(first), to_date(last)
    outcome = timedelta(days=churn.outcome_days)
    test = tuple(sorted(set(churn.test_snapshots))) or (ends - outcome,)
    training = tuple(sorted(set(churn.snapshots))) or _go_back(churn, begins, test[0] - outcome)
    if not training:
        raise DataError(
            f"The log runs from {begins} to {ends}: with outcomes that take {churn.outcome_days} days to be known, no "
            f"day is left to train on before the test snapshot of {test[0]}; shorten churn.horizon_days, or bring more."
        )
    for snapshot in (*training, *test):
        if snapshot <= begins:
            raise DataError(f"The snapshot of {snapshot} has no events before it: the log begins on {begins}.")
        if snapshot + outcome > ends:
            raise DataError(
                f"The outcomes of the snapshot of {snapshot} are known on {snapshot + outcome}, and the log ends on "
                f"{ends}: nobody can tell yet who left. The latest snapshot that can be learnt from or tested on is "
                f"{ends - outcome}."
            )
    if training[-1] + outcome > test[0]:
        raise DataError(
            f"The outcomes of the training snapshot of {training[-1]} are known on {training[-1] + outcome}, after "
            f"the test snapshot of {test[0]}; leave at least {churn.outcome_days} days between them."
        )
    return Snapshots(training, test, last)


def _go_back(churn: ChurnSettings, begins: date, latest: date) -> tuple[date, ...]:
    """Go back from the latest day that outcomes allow, as long as there is a time of activity to look back on."""
    days = [latest - timedelta(days=churn.every_days * place) for place in range(churn.training_snapshots)]
    enough = [day for day in days if day - timedelta(days=churn.active_days) >= begins]
    # a young log is better learnt from on one day than not at all
    return tuple(sorted(enough)) or ((latest,) if latest > begins else ())
