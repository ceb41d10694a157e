"""Fitting again: on the rows that are named, and on a sample that parts nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnable_tables import draw_customers, make_table
from sklearn.base import BaseEstimator
from sklearn.neighbors import KNeighborsClassifier

from churn_mlops.training import refitting
from churn_mlops.training.refitting import fit_rows, keep_together, refit, sample_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.data.table import CustomerTable

CUSTOMERS = draw_customers(100)
TABLE = make_table(CUSTOMERS[["tenure", "charges"]], CUSTOMERS["churned"].to_numpy())


def test_the_model_knows_its_training_rows_only() -> None:
    """A nearest neighbour repeats what it was fitted on, and the estimator that was given stays unfitted."""
    estimator = KNeighborsClassifier(1)
    fit_predict = refit(estimator, TABLE)
    rows = np.arange(40, 80)
    assert (fit_predict(rows, rows) == TABLE.churned[rows]).all()
    assert fit_predict(rows, np.arange(7)).shape == (7,)
    assert not hasattr(estimator, "classes_")


def test_rows_of_one_customer_and_equal_rows_are_kept_together() -> None:
    """Both bind: the twin of a customer's row belongs to that customer's rows."""
    features = pd.DataFrame({"x": [1.0, 2.0, 2.0, 3.0]})
    table = make_table(features, np.array([True, False, True, False]))
    named = dataclasses.replace(table, customer_ids=pd.Series(["a", "a", "b", "c"]))
    assert keep_together(named).tolist() == [0, 0, 0, 1]
    assert keep_together(table).tolist() != [0, 0, 0, 1]


def test_a_small_table_is_looked_at_whole() -> None:
    """Up to the limit nothing is drawn."""
    assert sample_rows(TABLE, 100, seed=0).tolist() == list(range(100))


def _table_of(groups: list[int], churned: list[bool]) -> CustomerTable:
    return make_table(pd.DataFrame({"x": np.array(groups, dtype=np.float64)}), np.array(churned))


@given(data=st.data(), groups=st.lists(st.integers(0, 9), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_a_sample_holds_whole_groups_and_no_more_than_it_may(data: st.DataObject, groups: list[int], seed: int) -> None:
    """Whatever the groups, none is parted, and only customers of the rarer outcome that are wanting lift the limit."""
    churned = data.draw(st.lists(st.booleans(), min_size=len(groups), max_size=len(groups)))
    limit, fewest = data.draw(st.integers(1, 30)), data.draw(st.integers(0, 5))
    table = _table_of(groups, churned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refitting, "FEWEST_SAMPLED", fewest)
        rows, again = (sample_rows(table, limit, seed) for _ in range(2))
    assert not set(np.take(groups, rows)) & set(np.delete(groups, rows))
    assert rows.tolist() == again.tolist() == sorted(set(rows.tolist()))
    drawn = table.churned[rows].sum()
    assert len(rows) <= limit or min(drawn, len(rows) - drawn) <= fewest + max(map(groups.count, groups))


def test_a_sample_of_few_churners_is_larger() -> None:
    """With one churner in a hundred, 5,000 rows would hold 50: rows are drawn until there are 500."""
    churned = np.arange(100_000) % 100 == 0
    rows = sample_rows(make_table(pd.DataFrame({"x": np.arange(100_000.0)}), churned), 5000, seed=0)
    assert churned[rows].sum() == 500
    assert len(rows) == pytest.approx(50_000, rel=0.1)


def test_the_draw_does_not_hang_on_columns_or_later_rows() -> None:
    """So that two versions, trained on a table that grew, were evaluated on the same customers."""
    random = np.random.default_rng(0)
    x, churned = random.permutation(6000).astype(np.float64), random.random(6000) < 0.5
    rows = sample_rows(make_table(pd.DataFrame({"x": x[:5000]}), churned[:5000]), 2500, seed=0)
    wider = pd.DataFrame({"x": x[:5000], "y": random.normal(size=5000)})
    assert sample_rows(make_table(wider, churned[:5000]), 2500, seed=0).tolist() == rows.tolist()
    grown = sample_rows(make_table(pd.DataFrame({"x": x}), churned), 3000, seed=0)
    assert len(set(grown[grown < 5000]) & set(rows)) > 0.95 * len(rows)


class HoldingOut(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A model that holds rows out by itself, and remembers whose rows it was given."""

    def fit(self, frame: pd.DataFrame, churned: object, groups: pd.Series | None = None) -> HoldingOut:
        """Remember tenure and customer of each row."""
        self.seen_ = None if groups is None else list(zip(frame["tenure"], groups, strict=True))
        return self


@pytest.mark.parametrize("rows", [np.array([3, 1, 4]), np.arange(100) % 9 == 0])
def test_a_model_is_told_whose_rows_it_is_fitted_on(rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> None:
    """By position and by mask, each row comes with its customer; where the table names none, nothing is told."""
    named = dataclasses.replace(TABLE, customer_ids=pd.Series([f"C{row}" for row in range(100)]))
    ids = np.array([f"C{row}" for row in range(100)])[rows]
    assert fit_rows(HoldingOut(), named, rows).seen_ == list(zip(CUSTOMERS["tenure"].iloc[rows], ids, strict=True))
    assert fit_rows(HoldingOut(), TABLE, rows).seen_ is None
