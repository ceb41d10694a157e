"""The folds: no row is tested by a model that saw its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from customer_frames import MIXED, draw_churn, make_frame
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.tree import DecisionTreeClassifier

from churn_mlops.errors import DataError
from churn_mlops.models.folds import DuplicateGroupedKFold, deal_bags, fit_clone, group_rows, outcome_of_groups

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


@pytest.mark.parametrize("ids", [[f"C{row}" for row in range(440)], [None] * 440])
def test_ids_that_bind_no_rows_change_nothing(ids: list[str | None]) -> None:
    """Where every customer has one row, or none has an id, the folds are those of the features alone."""
    frame, churned = _with_twins()
    alone = DuplicateGroupedKFold(5, 0).assign(frame, churned)
    assert (DuplicateGroupedKFold(5, 0).assign(frame, churned, pd.Series(ids, dtype="str")) == alone).all()


@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 12), st.booleans()), min_size=40),
    folds=st.integers(2, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_group_is_split_and_every_row_has_a_fold(
    rows: list[tuple[int, int | None, bool]], folds: int, seed: int
) -> None:
    """Whatever repeats, rows with equal features or an equal id share a fold, or the table is refused."""
    frame = pd.DataFrame({"x": [float(x) for x, _, _ in rows]})
    ids = pd.Series([id_ for _, id_, _ in rows], dtype="Int64")
    try:
        fold = DuplicateGroupedKFold(folds, seed).assign(frame, [left for *_, left in rows], ids)
    except DataError:
        return
    assert set(fold) == set(range(folds))
    assert pd.Series(fold).groupby(frame["x"]).nunique().max() == 1
    assert ids.isna().all() or pd.Series(fold).groupby(ids).nunique().max() == 1


def test_rows_are_bound_through_others() -> None:
    """Of a chain of equal features and equal ids all rows belong together, and a missing id binds none."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, 3.0, 4.0, 5.0]})
    together = group_rows(frame, pd.Series(["a", "a", "b", "b", None, None]))
    assert len(set(together[:4])) == 1
    assert len(set(together)) == 3


def test_folds_of_customers_with_several_rows_are_stratified() -> None:
    """Customers who left at their last row are dealt out evenly, though most of their rows say that they stayed."""
    frame = make_frame(MIXED, rows=1500)
    customer = np.arange(1500) // 3
    churned = (np.arange(1500) % 3 == 2) & (customer % 5 == 0)
    fold = DuplicateGroupedKFold(5, 0).assign(frame, churned, pd.Series(customer))
    assert np.bincount(fold, churned) == pytest.approx(20, abs=1)


def test_what_stays_together_churned_if_one_of_its_rows_did() -> None:
    """Each distinct row counts with the outcome of its first occurrence."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, 3.0]})
    together = group_rows(frame, pd.Series(["a", "a", "b", "c"]))
    assert outcome_of_groups(frame, np.array([False, False, True, True]), together).tolist() == [False, True]
    assert outcome_of_groups(frame, np.array([False, True, False, False]), together).tolist() == [True, False]


@pytest.mark.parametrize(("left", "stayed", "bags"), [(50, 50, 8), (3, 50, 3), (50, 5, 5), (2, 2, 2)])
def test_bags_are_as_many_as_can_have_both_outcomes(left: int, stayed: int, bags: int) -> None:
    """At most so many as are asked for, and each has a churner and a stayer."""
    matrix, churned = np.arange(left + stayed, dtype=np.float64)[:, np.newaxis], np.arange(left + stayed) < left
    bag = deal_bags(matrix, churned, 8, 0)
    for outcome in (True, False):
        assert set(bag[churned == outcome]) == set(range(bags))


def test_equal_encoded_rows_share_a_bag() -> None:
    """Missing values are equal to each other, and so are rows that hold them."""
    matrix = np.tile(np.array([[place, np.nan if place % 3 else 1.0] for place in range(40)]), (3, 1))
    bag = deal_bags(matrix, np.arange(120) % 40 < 15, 5, 0).reshape(3, 40)
    assert (bag == bag[0]).all()


def test_rows_of_one_customer_share_a_bag() -> None:
    """Though each of them differs, and both outcomes are in every bag."""
    matrix, customer = np.arange(120, dtype=np.float64)[:, np.newaxis], np.tile(np.arange(40), 3)
    bag = deal_bags(matrix, customer < 15, 5, 0, pd.Series(customer))
    assert (bag.reshape(3, 40) == bag[:40]).all()
    assert [set(bag[customer < 15]), set(bag[customer >= 15])] == [set(range(5))] * 2


def test_there_are_no_more_bags_than_customers_of_either_outcome() -> None:
    """A hundred rows of three churners are three to deal out."""
    churned = np.arange(400) < 100
    customer = pd.Series(np.where(churned, np.arange(400) % 3, np.arange(400)))
    assert set(deal_bags(np.arange(400.0)[:, np.newaxis], churned, 8, 0, customer)) == {0, 1, 2}


@pytest.mark.parametrize("left", [0, 1, 99, 100])
def test_too_few_different_rows_for_two_bags_are_refused(left: int) -> None:
    """One churner, or one who stayed, cannot be both learnt from and held out; folds have nothing to do with it."""
    with pytest.raises(DataError, match=rf"only {left} different rows of churners and {100 - left} of(?!.*fold)"):
        deal_bags(np.arange(100.0)[:, np.newaxis], np.arange(100) < left, 8, 0)


class HoldingOut(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A model that holds rows out by itself, and remembers what belonged together."""

    def fit(self, matrix: object, churned: object, groups: object = None) -> HoldingOut:
        """Remember it."""
        self.groups_ = groups
        return self


def test_a_model_that_holds_rows_out_is_told_what_belongs_together() -> None:
    """The model that was given stays unfitted; one that cannot be told is fitted all the same."""
    rows, churned, groups = np.zeros((4, 1)), np.arange(4) < 2, pd.Series(list("aabb"))
    model = HoldingOut()
    assert fit_clone(model, rows, churned, groups).groups_ is groups
    assert not hasattr(model, "groups_")
    assert fit_clone(DecisionTreeClassifier(), rows, churned, groups).classes_.tolist() == [False, True]
