"""Outcomes of further horizons that are too rare to be learnt are refused before anything is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_event_training import settings_for

from churn_mlops.data.table import FEWEST_CHURNERS
from churn_mlops.errors import DataError
from churn_mlops.training import job
from churn_mlops.training.horizons import check_horizons
from churn_mlops.training.loading import load_table
from churn_mlops.training.snapshot_table import SnapshotTable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> SnapshotTable:
    """The snapshots of a log."""
    loaded = load_table(settings_for(tmp_path_factory.mktemp("log")))
    assert isinstance(loaded, SnapshotTable)
    return loaded


@pytest.mark.parametrize(("churners", "is_refused"), [(FEWEST_CHURNERS - 1, True), (FEWEST_CHURNERS, False)])
def test_an_outcome_that_is_too_rare_is_refused(table: SnapshotTable, churners: int, is_refused: bool) -> None:
    """In the training snapshots; the sentence says what to do."""
    assert table.held_out is not None
    outcome = np.arange(len(table.churned)) % 2 == 0
    outcome[~table.held_out] = np.arange((~table.held_out).sum()) < churners
    rare = replace(table, further={60: outcome})
    if not is_refused:
        check_horizons(rare)
        return
    with pytest.raises(DataError, match=r"of the test snapshots: .* Take 60 out of churn\.horizon_days\.$"):
        check_horizons(rare)


def test_an_outcome_that_is_too_rare_in_the_sample_is_refused(
    table: SnapshotTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds are of the rows that are evaluated on: that all rows have enough does not help."""
    sampled = np.arange(0, len(table.churned), 2)
    outcome = np.arange(len(table.churned)) % 4 == 1  # nobody of the sample
    monkeypatch.setattr(job, "load_table", lambda *_: replace(table, further={60: outcome}))
    monkeypatch.setattr(job, "sample_rows", lambda *_: sampled)
    with pytest.raises(
        DataError, match=r"sampled customers of .* churn\.horizon_days, or raise evaluation\.max_rows\.$"
    ):
        job.train(settings_for(tmp_path), "logistic")
