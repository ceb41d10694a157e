"""The folds: no row is tested by a model that saw its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from customer_frames import MIXED, draw_churn, make_frame

from churn_mlops.errors import DataError
from churn_mlops.models.folds import DuplicateGroupedKFold

if TYPE_CHECKING:
    import numpy.typing as npt


def _with_twins() -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    frame = make_frame(MIXED, rows=300)
    frame = pd.concat([frame, frame.iloc[:100], frame.iloc[:40]], ignore_index=True)
    order = np.random.default_rng(5).permutation(len(frame))
    return frame.iloc[order].reset_index(drop=True), draw_churn(frame)[order]


def test_rows_with_equal_features_share_a_fold() -> None:
    """Twins and triplets, with missing values and with other outcomes too, are never split."""
    frame, churned = _with_twins()
    folds_of_group = frame.assign(fold=DuplicateGroupedKFold(5, 0).assign(frame, churned)).groupby(
        list(frame), dropna=False
    )["fold"]
    assert folds_of_group.nunique().max() == 1
    assert folds_of_group.size().max() == 3


@pytest.mark.parametrize("folds", [2, 5, 20])
def test_every_row_is_tested_once(folds: int) -> None:
    """The test parts of the splits are a partition of the rows, and no split trains on what it tests."""
    frame, churned = _with_twins()
    splits = list(DuplicateGroupedKFold(folds, 0).split(frame, churned))
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(frame)))
    assert all(sorted([*train, *test]) == list(range(len(frame))) for train, test in splits)


def test_folds_are_stratified() -> None:
    """Without duplicates every fold has the table's churn rate, to within one customer."""
    frame = make_frame(MIXED, rows=1000)
    churned = draw_churn(frame)
    fold = DuplicateGroupedKFold(5, 0).assign(frame, churned)
    assert np.bincount(fold, churned) == pytest.approx(churned.sum() / 5, abs=1)
    assert np.bincount(fold) == pytest.approx(200, abs=2)


def test_equal_seeds_give_equal_folds() -> None:
    """The folds come from the rows and the seed alone."""
    frame, churned = _with_twins()
    again = DuplicateGroupedKFold(5, 0).assign(frame.copy(), churned)
    assert (DuplicateGroupedKFold(5, 0).assign(frame, churned) == again).all()


def test_other_seeds_give_other_folds() -> None:
    """Seed 0 is a seed like any other."""
    frame, churned = _with_twins()
    other = DuplicateGroupedKFold(5, 1).assign(frame, churned)
    assert (DuplicateGroupedKFold(5, 0).assign(frame, churned) != other).any()


@pytest.mark.parametrize(
    ("plans", "churned"),
    [(["a", "b", "c"] * 50, [True, False, False] * 50), (["a", "b"] * 75, [True, False] * 75)],
)
def test_too_few_different_rows_are_refused_with_a_sentence(plans: list[str], churned: list[bool]) -> None:
    """A table whose rows hardly differ cannot be dealt out to folds, and the sentence says what to do."""
    with pytest.raises(DataError, match=r"only 1 different rows of churners .* 5 folds; add columns, or lower"):
        DuplicateGroupedKFold(5, 0).assign(pd.DataFrame({"plan": plans}), churned)
