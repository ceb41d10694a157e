"""Fitting again: on the rows that are named, and on a sample that parts nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnable_tables import draw_customers, make_table
from sklearn.neighbors import KNeighborsClassifier

from churn_mlops.training import refitting
from churn_mlops.training.refitting import keep_together, refit, sample_rows

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
    """Below the limit nothing is drawn."""
    assert sample_rows(np.array([2, 0, 1, 0]), seed=0).tolist() == [0, 1, 2, 3]


@given(groups=st.lists(st.integers(0, 9), min_size=1, max_size=60), limit=st.integers(1, 30), seed=st.integers(0, 99))
def test_a_sample_holds_whole_groups_and_no_more_than_it_may(groups: list[int], limit: int, seed: int) -> None:
    """Whatever the groups, none is parted, and the limit holds."""
    kept_together = np.unique(groups, return_inverse=True)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refitting, "LARGEST_SAMPLE", limit)
        rows = sample_rows(kept_together, seed)
        again = sample_rows(kept_together, seed)
    assert len(rows) <= limit
    assert not set(kept_together[rows]) & set(np.delete(kept_together, rows))
    assert rows.tolist() == again.tolist() == sorted(set(rows.tolist()))
