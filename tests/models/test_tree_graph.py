"""Trees in the graph: every split decides as it does on paper, and contributions are what they are said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from graph_running import run_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import FEATURES, LEAVES, THRESHOLDS, draw_linear_leaf, draw_row, draw_tree, walk

from churn_mlops.models.calibration import Calibration
from churn_mlops.models.scaling import Scaling
from churn_mlops.models.signature import LARGEST_NUMBER
from churn_mlops.models.tree_graph import write_additive_trees, write_reference_trees
from churn_mlops.models.trees import Axis, Split, Tree, build_lookup, decide

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

NONE = Calibration()
ENSEMBLES = st.lists(draw_tree(), min_size=1, max_size=4)
ROWS = st.lists(draw_row(), min_size=1, max_size=8)
SHARES = st.lists(
    st.tuples(st.integers(0, FEATURES - 1), st.sampled_from([1.0, 0.5, -2.0])),
    min_size=1,
    max_size=2,
    unique_by=lambda share: share[0],
)
REFERENCE = [0.1, float("nan"), 1.0]


def _score(trees: list[Tree], row: list[float]) -> float:
    return sum(walk(tree, row) for tree in trees)


def _sigmoid(log_odds: list[float]) -> Floats:
    probability: Floats = 1 / (1 + np.exp(-np.array(log_odds)))
    return probability


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ENSEMBLES, ROWS)
def test_a_graph_of_trees_scores_as_the_trees_do(trees: list[Tree], rows: list[list[float]]) -> None:
    """On thresholds, one float32 beside them, at the ends of float32 and where values are missing."""
    probability, _ = run_graph(write_reference_trees(trees, [], 0.25, np.array(REFERENCE), NONE), rows)
    np.testing.assert_allclose(probability, _sigmoid([0.25 + _score(trees, row) for row in rows]), atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ENSEMBLES, ROWS, draw_row())
def test_a_reference_contribution_is_what_leaves_with_the_feature(
    trees: list[Tree], rows: list[list[float]], reference: list[float]
) -> None:
    """It is the score less the score with that one feature set to the reference's value, which may be missing."""
    _, contributions = run_graph(write_reference_trees(trees, [], 0.25, np.array(reference), NONE), rows)
    expected = [
        [_score(trees, row) - _score(trees, [*row[:f], reference[f], *row[f + 1 :]]) for f in range(FEATURES)]
        for row in rows
    ]
    np.testing.assert_allclose(contributions, expected, atol=1e-5)


SCALING = Scaling.learn(np.array([[-2.0, 0.0, 5.0], [np.nan, 1.0, 5.0], [3.0, 0.25, 5.0]]))
LINEAR_ENSEMBLES = st.lists(draw_tree(leaf=draw_linear_leaf() | LEAVES), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ENSEMBLES, LINEAR_ENSEMBLES, ROWS, draw_row())
def test_linear_leaves_look_at_scaled_features_in_score_and_contributions(
    trees: list[Tree], linear: list[Tree], rows: list[list[float]], reference: list[float]
) -> None:
    """They are added to trees that look at features as they are, on edge rows and for any reference."""
    graph = write_reference_trees(trees, [(SCALING, linear)], 0.25, np.array(reference), NONE)
    probability, contributions = run_graph(graph, rows)

    def score(row: list[float]) -> float:
        return 0.25 + _score(trees, row) + _score(linear, SCALING.apply(np.array(row)).tolist())

    np.testing.assert_allclose(probability, _sigmoid([score(row) for row in rows]), atol=1e-6)
    changes = [[score(row) - score([*row[:f], reference[f], *row[f + 1 :]]) for f in range(FEATURES)] for row in rows]
    np.testing.assert_allclose(contributions, changes, atol=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(SHARES, draw_tree()), min_size=1, max_size=5), ROWS)
def test_additive_trees_add_up_by_feature(
    parts: list[tuple[list[tuple[int, float]], Tree]], rows: list[list[float]]
) -> None:
    """A feature's contribution is the sum of its shares of trees; with the intercept they are the log-odds."""
    probability, contributions = run_graph(write_additive_trees(parts, -0.5, FEATURES, NONE), rows)
    expected = [
        [
            sum(share * walk(tree, row) for shares, tree in parts for f, share in shares if f == feature)
            for feature in range(FEATURES)
        ]
        for row in rows
    ]
    np.testing.assert_allclose(contributions, expected, atol=1e-5)
    np.testing.assert_allclose(probability, _sigmoid([-0.5 + sum(row) for row in expected]), atol=1e-6)


@pytest.mark.parametrize("missing_left", [True, False])
def test_a_missing_value_goes_where_the_split_says(missing_left: bool) -> None:
    """To the left or to the right, whichever number the threshold is."""
    trees: list[Tree] = [Split(0, threshold, missing_left, 1.0, -1.0) for threshold in THRESHOLDS]
    probability, _ = run_graph(write_reference_trees(trees, [], 0.0, np.array([0.0]), NONE), [[np.nan]])
    assert probability == pytest.approx(_sigmoid([len(trees) if missing_left else -len(trees)]))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_threshold_parts_neighbouring_numbers(threshold: float) -> None:
    """The threshold itself goes left, and the very next float32 right."""
    above = np.nextafter(np.float32(threshold), np.float32(np.inf))
    graph = write_additive_trees([([(0, 1.0)], Split(0, threshold, False, 1.0, 2.0))], 0.0, 1, NONE)
    assert run_graph(graph, [[threshold], [above]])[1].tolist() == [[1.0], [2.0]]


def test_a_lookup_in_the_graph_is_the_table() -> None:
    """On each of a hundred cuts and beside it, a tree of bins gives the bin's own entry, as numpy does."""
    cuts = np.unique(np.random.default_rng(0).normal(0, 100, 100).astype(np.float32))
    axis, entries = Axis(0, cuts.astype(np.float64)), np.arange(len(cuts) + 2, dtype=np.float64)
    beside = [np.nextafter(cuts, np.float32(side)) for side in (-np.inf, np.inf)]
    values = np.concatenate([cuts, *beside, np.array([np.nan, -LARGEST_NUMBER, LARGEST_NUMBER], dtype=np.float32)])
    graph = write_additive_trees([([(0, 1.0)], build_lookup(axis, entries.tolist()))], 0.0, 1, NONE)
    found = run_graph(graph, values[:, np.newaxis])[1][:, 0]
    np.testing.assert_array_equal(found, entries[axis.index(values.astype(np.float64))])


def test_constants_alone_are_a_graph() -> None:
    """Where nothing was learnt every customer has the same score, and nothing contributes to it."""
    probability, contributions = run_graph(
        write_reference_trees([0.5, 0.25], [], 0.25, np.zeros(2), NONE), [[1, np.nan]]
    )
    assert probability == pytest.approx(_sigmoid([1.0]))
    assert contributions.tolist() == [[0, 0]]


def test_additive_constants_stay_with_their_feature() -> None:
    """A term that is the same for everybody is still that feature's."""
    terms = [([(1, 1.0)], 0.5), ([(1, 1.0)], 0.25), ([(0, 1.0)], -1.0)]
    _, contributions = run_graph(write_additive_trees(terms, 0.0, 2, NONE), [[1, 1]])
    assert contributions.tolist() == [[-1.0, 0.75]]


def test_a_feature_that_no_tree_asks_for_contributes_nothing() -> None:
    """It has its column all the same."""
    trees: list[Tree] = [Split(1, 0.5, False, 1.0, 2.0)]
    _, contributions = run_graph(write_reference_trees(trees, [], 0.0, np.zeros(3), NONE), [[9, 1, 9]])
    assert contributions.tolist() == [[0, 1, 0]]


def test_a_row_scores_among_many_as_it_does_alone() -> None:
    """ONNX Runtime adds trees up in another way for one row, for some and for many; it changes nothing that counts."""
    random = np.random.default_rng(1)
    trees: list[Tree] = [Split(0, float(cut), False, *random.normal(size=2).tolist()) for cut in random.normal(size=99)]
    rows = random.normal(size=(1000, 1))
    graph = write_reference_trees(trees, [], 0.0, np.zeros(1), NONE)
    many = run_graph(graph, rows)
    for some in (1, 30):
        np.testing.assert_allclose(run_graph(graph, rows[:some])[1], many[1][:some], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(run_graph(graph, rows[:some])[0], many[0][:some], atol=1e-6)


def test_a_tree_is_cut_down_for_each_feature_it_asks_for() -> None:
    """The graph holds the tree once, and for each of its features what `decide` leaves of it."""
    tree = Split(0, 0.5, False, Split(1, 1.0, False, 0.0, 1.0), 2.0)
    graph = onnx.load_from_string(write_reference_trees([tree], [], 0.0, np.zeros(2), NONE))
    node = next(node for node in graph.graph.node if node.op_type == "TreeEnsembleRegressor")
    modes = next(attribute.strings for attribute in node.attribute if attribute.name == "nodes_modes")
    assert isinstance(decide(tree, 0, 0.0), Split)
    assert list(modes).count(b"BRANCH_LEQ") == 2 + 1 + 1
