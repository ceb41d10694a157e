"""The boosted family: its trees are the model, also where LightGBM treats a missing value as 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from family_matrices import draw_matrix, held_out_by_bag, quick_boosted, strange_rows
from random_trees import walk

from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.folds import deal_bags
from churn_mlops.models.trees import LinearLeaf, Split

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MATRIX, CHURNED = draw_matrix()
FITTED = quick_boosted().fit(MATRIX, CHURNED)


def _sum_of_trees(family: BoostedTrees, matrix: Floats) -> Floats:
    pairs = zip(matrix.tolist(), family.scaling_.apply(matrix).tolist(), strict=True)
    sums = [
        sum(walk(tree, row) for tree in family.trees()) + sum(walk(tree, scaled) for tree in family.linear_trees())
        for row, scaled in pairs
    ]
    return np.array(sums)


@pytest.mark.parametrize("rows", [MATRIX[:200], strange_rows()], ids=["training rows", "strange rows"])
def test_the_trees_add_up_to_the_decision_function(rows: Floats) -> None:
    """On training rows, and where codes were never seen, values are missing or numbers extreme."""
    np.testing.assert_allclose(_sum_of_trees(FITTED, rows), FITTED.decision_function(rows), atol=1e-9)


def test_missing_goes_where_lightgbm_sends_it_though_training_had_none() -> None:
    """Thresholds lie on either side of 0, which is what a missing value counts as then."""
    matrix = MATRIX.copy()
    matrix[:, 0] = np.where(np.isnan(matrix[:, 0]), 0.3, matrix[:, 0])
    family, missing = quick_boosted().fit(matrix, CHURNED), matrix[:50].copy()
    for feature in range(4):
        missing[feature::5, feature] = np.nan
    assert {info["missing_type"] for info in _splits(family)} == {"None"}
    np.testing.assert_allclose(_sum_of_trees(family, missing), family.decision_function(missing), atol=1e-9)


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_missing_is_zero_also_far_from_every_threshold(shift: float) -> None:
    """With all numbers above 0, or all below, an unforeseen missing value still goes where LightGBM sends it."""
    matrix = np.nan_to_num(MATRIX[:, [0, 3]]) + shift
    family = quick_boosted().fit(matrix, CHURNED)
    nothing = np.full((1, 2), np.nan)
    np.testing.assert_allclose(_sum_of_trees(family, nothing), family.decision_function(nothing), atol=1e-9)


def test_a_missing_value_that_says_much_is_learnt() -> None:
    """Where customers without the number leave more often, they score higher."""
    matrix = MATRIX.copy()
    matrix[:, 0] = np.where(CHURNED & (np.arange(600) % 4 > 0), np.nan, 1.0 + np.arange(600) / 600)
    family = quick_boosted().fit(matrix, CHURNED)
    missing, present = family.decision_function(np.array([[np.nan, 1, 1, 5], [1.5, 1, 1, 5]]))
    assert missing > present + 1


def test_what_is_learnt_ranks_held_out_customers() -> None:
    """The log-odds rise with the risk of customers that it never saw."""
    rows, churned = draw_matrix(2000, seed=1)
    log_odds = FITTED.decision_function(rows)
    assert log_odds[churned].mean() > log_odds[~churned].mean() + 1.5


def test_lines_follow_a_steady_rise() -> None:
    """Where the log-odds rise with a number, leaves of the linear trees have slopes, most of them upwards."""
    waiting = list(FITTED.linear_trees())
    slopes: list[float] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, Split):
            waiting += [node.left, node.right]
        elif isinstance(node, LinearLeaf):
            slopes += [slope for feature, slope in node.slopes if feature == 0]
    assert sum(slope > 0 for slope in slopes) > 0.6 * len(slopes) > 0


def test_linear_leaves_do_not_extrapolate() -> None:
    """Beyond the range seen in training the log-odds stay what they are at its end."""
    end, beyond = MATRIX[[0]].copy(), MATRIX[[0]].copy()
    end[0, 3], beyond[0, 3] = MATRIX[:, 3].max(), 1e30
    np.testing.assert_array_equal(FITTED.decision_function(beyond), FITTED.decision_function(end))


def test_equal_seeds_give_equal_models() -> None:
    """The same rows and seed give the same log-odds to the last bit; another seed other ones."""
    again, other = (quick_boosted(seed=seed).fit(MATRIX, CHURNED).decision_function(MATRIX) for seed in (0, 1))
    np.testing.assert_array_equal(again, FITTED.decision_function(MATRIX))
    assert not np.array_equal(other, again)


def test_a_row_is_held_out_by_one_bag() -> None:
    """Its held-out log-odds are those of the models that were not fitted on it: one, or two in every other bag."""
    bag_of_row = deal_bags(MATRIX, CHURNED, 3, 0)
    np.testing.assert_allclose(FITTED.held_out_log_odds_, held_out_by_bag(FITTED, MATRIX, bag_of_row), atol=1e-12)


def test_each_half_weighs_the_same() -> None:
    """Three models with values and two with linear leaves are averaged apart, then together."""
    plain = np.mean([booster.predict(MATRIX, raw_score=True) for booster in FITTED.boosters_], axis=0)
    scaled = FITTED.scaling_.apply(MATRIX)
    linear = np.mean([booster.predict(scaled, raw_score=True) for booster in FITTED.linear_boosters_], axis=0)
    assert (len(FITTED.boosters_), len(FITTED.linear_boosters_)) == (3, 2)
    np.testing.assert_allclose(FITTED.decision_function(MATRIX), (plain + linear) / 2, atol=1e-12)


def test_outcomes_of_rows_held_out_are_not_learnt_by_that_bag() -> None:
    """Noise looks learnt on training rows, and is nothing on rows held out."""
    random = np.random.default_rng(2)
    noise, churned = random.normal(size=(800, 3)), random.random(800) < 0.5
    held_out = quick_boosted().fit(noise, churned).held_out_log_odds_
    assert abs(held_out[churned].mean() - held_out[~churned].mean()) < 0.1


@pytest.mark.parametrize(("churners", "bags"), [(2, 2), (5, 5), (30, 8)])
def test_few_different_rows_make_fewer_bags(churners: int, bags: int) -> None:
    """Each bag has a churner and a stayer of its own, so there are no more bags than either."""
    matrix = np.arange(60, dtype=np.float64)[:, np.newaxis]
    family = BoostedTrees().fit(matrix, np.arange(60) < churners)
    assert len(family.boosters_) == bags
    np.testing.assert_allclose(_sum_of_trees(family, matrix), family.decision_function(matrix), atol=1e-9)


def test_very_many_rows_make_half_the_bags(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too many is made few here."""
    monkeypatch.setattr("churn_mlops.models.boosted._MANY_ROWS", 599)
    family = quick_boosted(bags=3).fit(MATRIX, CHURNED)
    assert (len(family.boosters_), len(family.linear_boosters_)) == (2, 1)


def test_where_nothing_can_be_learnt_the_base_rate_is() -> None:
    """Where no leaf has rows enough there are trees of one leaf only, and they say how many leave."""
    family = BoostedTrees(bags=2, min_leaf_rows=1000).fit(MATRIX, CHURNED)
    rate = CHURNED.mean()
    trees = [*family.trees(), *family.linear_trees()]
    constants = [walk(tree, []) for tree in trees if not isinstance(tree, Split)]
    assert len(constants) == len(trees)
    assert sum(constants) == pytest.approx(np.log(rate / (1 - rate)), abs=0.01)
    np.testing.assert_allclose(_sum_of_trees(family, MATRIX[:1]), family.decision_function(MATRIX[:1]), atol=1e-9)


def _splits(family: BoostedTrees) -> list[dict[str, object]]:
    """Give every split as LightGBM dumps it."""
    waiting = [info["tree_structure"] for booster in family.boosters_ for info in booster.dump_model()["tree_info"]]
    splits = []
    while waiting:
        node = waiting.pop()
        if "split_feature" in node:
            splits.append(node)
            waiting += [node["left_child"], node["right_child"]]
    return splits
