"""Trees are what they are built from, and stay so when they are cut down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import FEATURES, VALUES, draw_linear_leaf, draw_row, draw_tree, walk

from churn_mlops.models.signature import LARGEST_NUMBER
from churn_mlops.models.trees import Axis, LinearLeaf, Split, Tree, build_lookup, decide, features_of, scale

if TYPE_CHECKING:
    import numpy.typing as npt

AXIS = Axis(1, np.array([0.0, 0.5, 10.0]))
LOW, HIGH = np.nextafter(0.5, -np.inf), np.nextafter(0.5, np.inf)


@pytest.mark.parametrize(
    ("value", "place"),
    [(np.nan, 0), (-LARGEST_NUMBER, 1), (0, 2), (LOW, 2), (0.5, 3), (HIGH, 3), (10, 4), (LARGEST_NUMBER, 4)],
)
def test_a_value_on_a_cut_belongs_above_it(value: float, place: int) -> None:
    """Missing comes first, then the bins; numpy and the tree that is built agree on the place."""
    assert AXIS.index(np.array([value])) == [place]
    assert walk(build_lookup(AXIS, [0.0, 1.0, 2.0, 3.0, 4.0]), [np.nan, value]) == place


@st.composite
def _lookups(draw: st.DrawFn) -> tuple[npt.NDArray[np.float64], list[float], list[float]]:
    """Cuts, one entry for missing and one a bin (often equal ones), and values on and beside every cut."""
    cuts = sorted(draw(st.sets(st.floats(-LARGEST_NUMBER, LARGEST_NUMBER) | st.sampled_from(VALUES[:-1]))))
    entries = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=len(cuts) + 2, max_size=len(cuts) + 2))
    beside = [float(np.nextafter(cut, side)) for cut in cuts for side in (-np.inf, np.inf)]
    return np.array(cuts, dtype=np.float64), entries, [*cuts, *beside, *VALUES]


@settings(deadline=None, derandomize=True)
@given(_lookups())
def test_a_lookup_tree_gives_what_the_table_gives(
    drawn: tuple[npt.NDArray[np.float64], list[float], list[float]],
) -> None:
    """Whatever the cuts and entries, also where neighbouring bins are merged."""
    cuts, entries, values = drawn
    axis, tree = Axis(0, cuts), build_lookup(Axis(0, cuts), entries)
    expected = np.array(entries)[axis.index(np.array(values))]
    assert [walk(tree, [value]) for value in values] == expected.tolist()


def test_a_lookup_of_lookups_is_a_table_of_two_features() -> None:
    """A tree in each leaf of another one finds row and column."""
    first, second = Axis(0, np.array([1.0])), Axis(1, np.array([5.0, 7.0]))
    table = np.arange(12.0).reshape(3, 4)
    tree = build_lookup(first, [build_lookup(second, row) for row in table.tolist()])
    rows = [[a, b] for a in (np.nan, 0.0, 1.0) for b in (np.nan, 4.0, 5.0, 7.0)]
    assert [walk(tree, row) for row in rows] == table.ravel().tolist()


def test_a_lookup_in_which_nothing_differs_is_a_constant() -> None:
    """Equal entries need no split."""
    assert build_lookup(AXIS, [2.0] * 5) == 2.0


@settings(deadline=None, derandomize=True)
@given(draw_tree(), draw_row(), st.integers(0, FEATURES - 1), st.sampled_from(VALUES))
def test_a_decided_tree_scores_as_if_the_feature_had_the_value(
    tree: Tree, row: list[float], feature: int, value: float
) -> None:
    """What is left asks for the feature no more, and says of anybody what the tree says with that one value set."""
    left = decide(tree, feature, value)
    changed = [value if place == feature else own for place, own in enumerate(row)]
    assert walk(left, row) == walk(tree, changed)
    assert feature not in features_of(left)


NUMBERS = st.lists(st.floats(-9, 9, width=16), min_size=FEATURES, max_size=FEATURES)
LINEAR_TREE = draw_tree(leaf=draw_linear_leaf())


@settings(deadline=None, derandomize=True)
@given(LINEAR_TREE, NUMBERS, st.integers(0, FEATURES - 1), st.floats(-9, 9, width=16))
def test_a_decided_tree_with_linear_leaves_has_the_value_in_their_constants(
    tree: Tree, row: list[float], feature: int, value: float
) -> None:
    """No leaf has a slope of the feature any more, and all say what they said with that one value set."""
    left = decide(tree, feature, value)
    changed = [value if place == feature else own for place, own in enumerate(row)]
    assert walk(left, row) == pytest.approx(walk(tree, changed))
    assert feature not in features_of(left)


@settings(deadline=None, derandomize=True)
@given(LINEAR_TREE | draw_tree(), NUMBERS)
def test_a_scaled_tree_is_the_tree_times_the_factor(tree: Tree, row: list[float]) -> None:
    """Whether its leaves are values or linear."""
    assert walk(scale(tree, 3.0), row) == pytest.approx(3 * walk(tree, row))


def test_slopes_are_features_that_a_tree_asks_for() -> None:
    """Beside those of its splits."""
    assert features_of(Split(1, 0.0, True, LinearLeaf(1.0, ((3, 2.0),)), 0.0)) == {1, 3}


def test_the_features_of_a_tree_are_those_it_asks_for() -> None:
    """On either side, each once; a constant asks for none."""
    tree = Split(4, 0.0, True, Split(2, 1.0, False, 0.0, 1.0), Split(4, 3.0, False, 0.0, Split(0, 1.0, True, 1.0, 2.0)))
    assert features_of(tree) == {0, 2, 4}
    assert features_of(1.0) == frozenset()
