"""The explainable family: its tables are the model, and pairs are shared out without a remainder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from family_matrices import draw_matrix, quick_ebm, strange_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from random_trees import walk

from churn_mlops.models.ebm import AdditiveBoosting, LookupTable, share_out
from churn_mlops.models.trees import Axis

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MATRIX, CHURNED = draw_matrix()
FITTED = quick_ebm().fit(MATRIX, CHURNED)
AXES = (Axis(0, np.array([1.0, 2.0])), Axis(1, np.array([5.0])))
SHAPE = (4, 3)


def _sum_of_tables(family: AdditiveBoosting, matrix: Floats) -> Floats:
    total: Floats = family.intercept + np.sum([table.look_up(matrix) for table in family.tables()], axis=0)
    return total


@pytest.mark.parametrize("rows", [MATRIX, strange_rows()], ids=["training rows", "strange rows"])
def test_tables_and_intercept_add_up_to_the_decision_function(rows: Floats) -> None:
    """On every training row, and where codes were never seen, values are missing or numbers extreme."""
    np.testing.assert_allclose(_sum_of_tables(FITTED, rows), FITTED.decision_function(rows), atol=1e-9)


def test_values_on_a_cut_are_in_the_bin_of_the_decision_function() -> None:
    """On each cut and one float32 beside it, tables and model agree."""
    cuts = np.unique(np.concatenate([axis.cuts for table in FITTED.tables() for axis in table.axes])).astype(np.float32)
    values = np.concatenate([np.nextafter(cuts, np.float32(side)) for side in (-np.inf, np.inf)] + [cuts])
    rows = np.repeat(values[:, np.newaxis].astype(np.float64), 4, axis=1)
    np.testing.assert_allclose(_sum_of_tables(FITTED, rows), FITTED.decision_function(rows), atol=1e-9)


def test_a_table_and_its_tree_are_the_same() -> None:
    """Of one feature or a pair, the tree ends at the score that is looked up."""
    rows = np.vstack([MATRIX[:50], strange_rows()])
    assert {len(table.axes) for table in FITTED.tables()} == {1, 2}
    for table in FITTED.tables():
        assert [walk(table.to_tree(), row) for row in rows.tolist()] == table.look_up(rows).tolist()


def test_the_pair_that_matters_is_found() -> None:
    """Where only the second and third feature together say who leaves, they get a term of their own."""
    churned = ((MATRIX[:, 1] > 2) == (MATRIX[:, 2] > 0)) == (np.arange(len(MATRIX)) % 5 > 0)
    family = quick_ebm(interactions=1).fit(MATRIX, churned)
    assert tuple(axis.feature for axis in family.tables()[-1].axes) == (1, 2)


def test_what_is_learnt_ranks_held_out_customers() -> None:
    """The log-odds rise with the risk of customers that it never saw."""
    rows, churned = draw_matrix(2000, seed=1)
    log_odds = FITTED.decision_function(rows)
    assert log_odds[churned].mean() > log_odds[~churned].mean() + 1.5


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_a_feature_that_never_was_present_breaks_nothing(column: int) -> None:
    """An always-missing column has a table, and a value that turns up later moves nothing."""
    matrix = MATRIX.copy()
    matrix[:, column] = np.nan
    family, later = quick_ebm(interactions=6).fit(matrix, CHURNED), matrix[:20].copy()
    later[:, column] = 1.0
    np.testing.assert_allclose(_sum_of_tables(family, later), family.decision_function(later), atol=1e-9)
    np.testing.assert_allclose(_sum_of_tables(family, matrix), family.decision_function(matrix), atol=1e-9)


@pytest.mark.parametrize("columns", [[0], [1], [0, 3]])
def test_few_features_are_enough(columns: list[int]) -> None:
    """With one feature there is no pair to be had, however many are asked for."""
    family = quick_ebm(interactions=20).fit(MATRIX[:, columns], CHURNED)
    pairs = [table for table in family.tables() if len(table.axes) == 2]
    assert len(pairs) == len(columns) - 1
    rows = MATRIX[:, columns]
    np.testing.assert_allclose(_sum_of_tables(family, rows), family.decision_function(rows), atol=1e-9)


def test_equal_seeds_give_equal_models() -> None:
    """The same rows and seed give the same log-odds to the last bit; another seed other ones."""
    again, other = (quick_ebm(seed=seed).fit(MATRIX, CHURNED).decision_function(MATRIX) for seed in (0, 1))
    np.testing.assert_array_equal(again, FITTED.decision_function(MATRIX))
    assert not np.array_equal(other, again)


def test_repeated_rows_do_not_count_as_held_out() -> None:
    """Every row three times is no reason to believe noise: equal rows are held out together, so it stops as early."""
    random = np.random.default_rng(5)
    noise, churned = random.normal(size=(150, 1)), random.random(150) < 0.5
    once = quick_ebm().fit(noise, churned).decision_function(noise)
    thrice = quick_ebm().fit(np.repeat(noise, 3, axis=0), np.repeat(churned, 3)).decision_function(noise)
    assert np.std(thrice) < np.std(once) + 0.05


def _table(scores: npt.ArrayLike, weights: npt.ArrayLike) -> LookupTable:
    return LookupTable(AXES, np.array(scores, dtype=np.float64), np.array(weights, dtype=np.float64))


TABLES = st.builds(
    _table,
    arrays(np.float64, SHAPE, elements=st.floats(-5, 5)),
    arrays(np.float64, SHAPE, elements=st.integers(1, 50).map(float)),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES)
def test_what_is_shared_out_adds_up(table: LookupTable) -> None:
    """Mean and both parts together are the term, bin by bin."""
    mean, (first, second) = share_out(table)
    np.testing.assert_allclose(mean + first.scores + second.scores, table.scores, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES)
def test_both_features_get_the_same_of_what_is_pure(table: LookupTable) -> None:
    """What a part holds beside its own feature's effect averages 0 along either feature, and is alike in both parts."""
    _, (first, second) = share_out(table)
    own_first = np.average(first.scores, axis=1, weights=table.weights)[:, np.newaxis]
    own_second = np.average(second.scores, axis=0, weights=table.weights)[np.newaxis, :]
    pure = first.scores - own_first
    np.testing.assert_allclose(second.scores - own_second, pure, atol=1e-6)
    np.testing.assert_allclose(np.average(pure, axis=0, weights=table.weights), 0, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_term_that_depends_on_one_feature_is_that_features(axis: int) -> None:
    """The other feature gets nothing of it."""
    effect = np.array([1.0, -2.0, 0.5, 3.0])[: SHAPE[axis]]
    scores = np.broadcast_to(effect[:, np.newaxis] if axis == 0 else effect, SHAPE)
    weights = np.arange(1.0, 13.0).reshape(SHAPE)
    mean, parts = share_out(_table(scores, weights))
    assert mean == pytest.approx(np.average(scores, weights=weights))
    np.testing.assert_allclose(parts[axis].scores, scores - mean, atol=1e-6)
    np.testing.assert_allclose(parts[1 - axis].scores, 0, atol=1e-6)


def test_a_pure_interaction_is_halved() -> None:
    """Where two features matter only together, each gets half of every bin."""
    scores = np.array([[1.0, -1.0], [-1.0, 1.0]])
    axes = (Axis(0, np.array([])), Axis(1, np.array([])))
    mean, (first, second) = share_out(LookupTable(axes, scores, np.ones((2, 2))))
    assert mean == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(first.scores, scores / 2, atol=1e-9)
    np.testing.assert_allclose(second.scores, scores / 2, atol=1e-9)


def test_bins_without_customers_are_shared_out_too() -> None:
    """A weight of 0, as of a missing value that training never held, gives finite parts that add up."""
    weights = np.array([[0.0, 0, 0], [0, 10, 20], [0, 30, 0], [0, 5, 5]])
    scores = np.arange(12.0).reshape(SHAPE) % 5
    mean, (first, second) = share_out(_table(scores, weights))
    np.testing.assert_allclose(mean + first.scores + second.scores, scores, atol=1e-6)
