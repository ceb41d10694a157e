"""The trial: what the chosen candidate says of rows that it was not fitted on, in folds or on a later time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.errors import DataError
from churn_mlops.training.out_of_fold import NOT_HELD_OUT
from churn_mlops.training.refitting import fit_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.data.table import CustomerTable
    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.training.candidates import Candidate
    from churn_mlops.training.refitting import Rows


@dataclass(frozen=True)
class Trial:
    """A candidate's probabilities of rows that it had not seen.

    Attributes:
        table: the rows that were fitted on or tested.
        fold: int [rows], the fold in which a row was tested; below 0 where it was only fitted on.
        probability: float64 [rows]; NaN likewise.
        contested: int [rows], the folds of the contest; `NOT_HELD_OUT` for rows of the later time, in which it had no
            part.
        contest_probability: float64 [rows], out of fold in the contest; NaN likewise.
    """

    table: CustomerTable
    fold: npt.NDArray[np.intp]
    probability: npt.NDArray[np.float64]
    contested: npt.NDArray[np.intp]
    contest_probability: npt.NDArray[np.float64]

    @property
    def rows(self) -> Rows:
        """The tested rows, int positions."""
        return np.flatnonzero(self.fold >= 0)

    def tested(self) -> tuple[CustomerTable, npt.NDArray[np.float64]]:
        """Give the tested rows and their probabilities."""
        rows = self.rows
        return (self.table if len(rows) == len(self.fold) else self.table.take(rows)), self.probability[rows]

    def every_row(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Give a fold and a probability of every row: those of the contest, and one more fold for the later time."""
        later = self.contested == NOT_HELD_OUT
        fold = np.where(later, self.contested.max() + 1, self.contested)
        return fold, np.where(later, self.probability, self.contest_probability)


def learnt_rows(table: CustomerTable) -> Rows:
    """Give the rows that candidates are fitted and compared on, int positions: all but those of a later time."""
    everything = np.arange(len(table.churned))
    return everything if table.held_out is None else everything[~table.held_out]


def hold_trial(table: CustomerTable, chosen: Candidate, model: ChurnModel, fold: Rows) -> Trial:
    """Test the chosen candidate.

    Without rows of a later time the contest has tested it already. With them it is fitted on all others, calibrated as
    the contest taught, and tested on them.

    Args:
        table: all rows.
        chosen: by the contest, on `learnt_rows`.
        model: unfitted, with the candidate's estimator and calibration.
        fold: int [learnt rows], of the contest.

    Raises:
        DataError: all customers of the later time have the same outcome.
    """
    if table.held_out is None:
        return Trial(table, fold, chosen.probability, fold, chosen.probability)
    learnt, later = learnt_rows(table), np.flatnonzero(table.held_out)
    churners = int(table.churned[later].sum())
    if churners in (0, len(later)):
        raise DataError(
            f"Of the {len(later):,} customers of the test snapshots {churners:,} left: both outcomes are needed."
        )
    probability = np.full(len(table.churned), np.nan)
    probability[later] = fit_rows(model, table, learnt).predict_proba(table.features.iloc[later])[:, 1]
    contested, contest_probability = np.full(len(probability), NOT_HELD_OUT), np.full(len(probability), np.nan)
    contested[learnt], contest_probability[learnt] = fold, chosen.probability
    return Trial(table, np.where(table.held_out, 0, -1), probability, contested, contest_probability)
