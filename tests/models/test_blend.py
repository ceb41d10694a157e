"""The blend: a weighted average of its members, with the weights that would have done best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from family_matrices import draw_matrix, quick_boosted, quick_ebm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from churn_mlops.models.blend import Blend, fit_weights

if TYPE_CHECKING:
    import numpy.typing as npt

MATRIX, CHURNED = draw_matrix(300)


def test_weights_of_a_case_by_hand() -> None:
    """Of 100 customers in each half 75 and 25 leave: 2 ln 3 and 0 are half right each, and ln 3 is their middle."""
    churned = np.tile(np.arange(100) < 75, 2)
    churned[100:] = ~churned[100:]
    far, none = np.repeat([2 * np.log(3), -2 * np.log(3)], 100), np.zeros(200)
    assert fit_weights(np.column_stack([far, none]), churned) == pytest.approx([0.5, 0.5], abs=0.002)


@pytest.mark.parametrize("best", [0, 1, 2])
def test_a_model_that_has_all_there_is_gets_all_the_weight(best: int) -> None:
    """Beside the log-odds that outcomes were drawn from, noise and the opposite count for nothing."""
    random = np.random.default_rng(0)
    truth = random.normal(0, 2, 5000)
    churned = random.random(5000) < 1 / (1 + np.exp(-truth))
    others = [random.normal(0, 2, 5000), -truth]
    together = np.column_stack([*others[:best], truth, *others[best:]])
    assert fit_weights(together, churned)[best] > 0.97


def test_one_model_has_the_whole_weight() -> None:
    """There is nothing to choose."""
    assert fit_weights(np.zeros((10, 1)), np.arange(10) < 5).tolist() == [1.0]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(arrays(np.float64, (12, 3), elements=st.floats(-40, 40)), arrays(np.bool_, 12))
def test_weights_are_shares(log_odds: npt.NDArray[np.float64], churned: npt.NDArray[np.bool_]) -> None:
    """Whatever the models say and whoever leaves, no weight is negative, and they sum to 1."""
    weights = fit_weights(log_odds, churned)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)


def test_a_blend_is_the_weighted_average_of_its_members() -> None:
    """In log-odds, member by member as they are when fitted alone."""
    members = {"boosted": quick_boosted(), "ebm": quick_ebm()}
    blend = Blend(members, {"boosted": 0.25, "ebm": 0.75}).fit(MATRIX, CHURNED)
    boosted, ebm = (clone(member).fit(MATRIX, CHURNED).decision_function(MATRIX) for member in members.values())
    np.testing.assert_allclose(blend.decision_function(MATRIX), 0.25 * boosted + 0.75 * ebm, atol=1e-12)


def test_a_blend_of_twins_is_the_twin() -> None:
    """Averaging two equal models changes nothing, whatever their weights."""
    blend = Blend({"boosted": quick_boosted(), "ebm": quick_boosted()}, {"boosted": 0.3, "ebm": 0.7})
    alone = quick_boosted().fit(MATRIX, CHURNED).decision_function(MATRIX)
    np.testing.assert_allclose(blend.fit(MATRIX, CHURNED).decision_function(MATRIX), alone, atol=1e-12)


def test_fitting_leaves_the_members_unfitted() -> None:
    """Every fold begins with the same unfitted members."""
    members = {"boosted": quick_boosted()}
    Blend(members, {"boosted": 1.0}).fit(MATRIX, CHURNED)
    assert not hasattr(members["boosted"], "boosters_")
