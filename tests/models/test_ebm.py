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

from churn_mlops.models.ebm import AdditiveBoosting, LookupTable, add_up, share_out
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


def _spread(table: LookupTable, alone: LookupTable) -> Floats:
    """Give a feature's own part by the bins of the pair."""
    axis = table.axes.index(alone.axes[0])
    return np.broadcast_to(np.expand_dims(alone.scores, 1 - axis), SHAPE)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES)
def test_what_is_shared_out_adds_up(table: LookupTable) -> None:
    """Mean, interaction and what each feature does alone are together the term, bin by bin."""
    mean, interaction, alone = share_out(table)
    parts = mean + interaction.scores + sum(_spread(table, one) for one in alone)
    np.testing.assert_allclose(parts, table.scores, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES)
def test_an_interaction_averages_nothing_along_either_feature(table: LookupTable) -> None:
    """So does what each feature does alone, over its own bins."""
    _, interaction, alone = share_out(table)
    for axis in (0, 1):
        np.testing.assert_allclose(np.average(interaction.scores, axis=axis, weights=table.weights), 0, atol=1e-6)
        weights = table.weights.sum(axis=1 - axis)
        assert np.array_equal(alone[axis].weights, weights)
        assert np.average(alone[axis].scores, weights=weights) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_term_that_depends_on_one_feature_is_that_features(axis: int) -> None:
    """The other feature gets nothing of it, and nothing is left for both."""
    effect = np.array([1.0, -2.0, 0.5, 3.0])[: SHAPE[axis]]
    scores = np.broadcast_to(effect[:, np.newaxis] if axis == 0 else effect, SHAPE)
    weights = np.arange(1.0, 13.0).reshape(SHAPE)
    mean, interaction, alone = share_out(_table(scores, weights))
    assert mean == pytest.approx(np.average(scores, weights=weights))
    np.testing.assert_allclose(alone[axis].scores, effect - mean, atol=1e-6)
    np.testing.assert_allclose(alone[1 - axis].scores, 0, atol=1e-6)
    np.testing.assert_allclose(interaction.scores, 0, atol=1e-6)


def test_a_pure_interaction_belongs_to_neither_alone() -> None:
    """Where two features matter only together, all of it is left for both."""
    scores = np.array([[1.0, -1.0], [-1.0, 1.0]])
    axes = (Axis(0, np.array([])), Axis(1, np.array([])))
    mean, interaction, alone = share_out(LookupTable(axes, scores, np.ones((2, 2))))
    assert mean == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(interaction.scores, scores, atol=1e-9)
    np.testing.assert_allclose([one.scores for one in alone], 0, atol=1e-9)


def test_bins_without_customers_are_shared_out_too() -> None:
    """A weight of 0, as of a missing value that training never held, gives finite parts that add up."""
    weights = np.array([[0.0, 0, 0], [0, 10, 20], [0, 30, 0], [0, 5, 5]])
    table = _table(np.arange(12.0).reshape(SHAPE) % 5, weights)
    mean, interaction, alone = share_out(table)
    parts = mean + interaction.scores + sum(_spread(table, one) for one in alone)
    np.testing.assert_allclose(parts, table.scores, atol=1e-6)


def test_tables_of_a_feature_add_up_whatever_their_cuts() -> None:
    """On each cut, beside it, at the ends and where the value is missing."""
    random = np.random.default_rng(3)
    tables = [
        LookupTable((Axis(1, np.array(cuts)),), random.normal(size=len(cuts) + 2), np.ones(len(cuts) + 2))
        for cuts in ([], [0.0, 2.0], [-1.0, 0.0, 0.5], [2.0])
    ]
    values = [np.nan, -np.inf, -1.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, np.nextafter(2.0, 0), 2.0, 9.0, np.inf]
    matrix = np.column_stack([np.zeros(len(values)), values])
    np.testing.assert_allclose(
        add_up(tables).look_up(matrix), np.sum([table.look_up(matrix) for table in tables], axis=0), atol=1e-12
    )
