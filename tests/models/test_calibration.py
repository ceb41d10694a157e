"""Calibration: monotone, the published formula, chosen only where it makes probabilities truer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.models.calibration import Calibration, choose_calibration, fit_calibration, losses, mean_log_loss

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

Kind = Literal["none", "sigmoid", "beta"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ROWS = 6000
FOLD = np.arange(ROWS) % 3


def _draw(seed: int = 0) -> tuple[Floats, Bools]:
    """Draw true log-odds and outcomes that follow them."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1, 1.5, ROWS)
    return truth, random.random(ROWS) < 1 / (1 + np.exp(-truth))


TRUTH, CHURNED = _draw()


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=2, max_size=40),
    st.sampled_from(["sigmoid", "beta"]),
)
def test_any_fitted_calibration_rises(rows: list[tuple[float, bool]], kind: Literal["sigmoid", "beta"]) -> None:
    """Whatever it is fitted on, even outcomes against the scores, it never changes who is more at risk than whom."""
    log_odds, churned = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    calibrated = fit_calibration(kind, log_odds, churned).apply(np.linspace(-20, 20, 81))
    assert (np.diff(calibrated) > 0).all()


@pytest.mark.parametrize(("a", "b", "c"), [(2.0, 0.5, 0.3), (0.4, 1.7, -1.0), (1.5, 1.5, 0.2), (1.0, 1.0, 0.0)])
def test_it_is_the_textbook_formula(a: float, b: float, c: float) -> None:
    """With p the probability before, the log-odds after are a log(p) - b log(1 - p) + c (Kull et al. 2017)."""
    log_odds = np.linspace(-12, 12, 97)
    p = 1 / (1 + np.exp(-log_odds))
    expected = a * np.log(p) - b * np.log(1 - p) + c
    np.testing.assert_allclose(Calibration("beta", a, b, c).apply(log_odds), expected, atol=1e-9)


def test_none_leaves_log_odds_as_they_are() -> None:
    """It is fitted on nothing and changes nothing."""
    assert fit_calibration("none", TRUTH, CHURNED) == Calibration()
    np.testing.assert_array_equal(Calibration().apply(TRUTH), TRUTH)


def test_none_is_chosen_where_probabilities_are_true() -> None:
    """Log-odds that the outcomes were drawn from need no calibration, and are handed back untouched."""
    chosen, calibrated = choose_calibration(TRUTH, CHURNED, FOLD)
    assert chosen == Calibration()
    np.testing.assert_array_equal(calibrated, TRUTH)


def test_a_sigmoid_undoes_a_slope_and_an_offset() -> None:
    """Log-odds twice too far out and shifted are brought back: its slope is a half, its offset the shift's."""
    chosen = fit_calibration("sigmoid", 2 * TRUTH + 1, CHURNED)
    assert [chosen.a, chosen.b, chosen.c] == pytest.approx([0.5, 0.5, -0.5], abs=0.05)


def test_beta_undoes_what_differs_on_either_side() -> None:
    """Log-odds that are too far out on one side only are straightened with two slopes."""
    inverse = Calibration("beta", 0.5, 2.0, 0.4)
    distorted = _invert(inverse, TRUTH)
    chosen, _ = choose_calibration(distorted, CHURNED, FOLD)
    assert (chosen.kind, chosen.a, chosen.b, chosen.c) == (
        "beta",
        *(pytest.approx(value, abs=0.2) for value in (inverse.a, inverse.b, inverse.c)),
    )


@pytest.mark.parametrize(
    "distorted",
    [2 * TRUTH + 1, 0.5 * TRUTH, np.where(TRUTH > -1, 3 * (TRUTH + 1) - 1, TRUTH)],
    ids=["too far out", "too near", "too far out on one side"],
)
def test_distorted_probabilities_are_made_truer(distorted: Floats) -> None:
    """A calibration is chosen; on rows it was not fitted on, nearly all that the distortion cost is won back."""
    chosen, calibrated = choose_calibration(distorted, CHURNED, FOLD)
    assert chosen.kind != "none"
    cost = mean_log_loss(distorted, CHURNED) - mean_log_loss(TRUTH, CHURNED)
    assert mean_log_loss(calibrated, CHURNED) - mean_log_loss(TRUTH, CHURNED) < 0.1 * cost


@pytest.mark.parametrize("number", range(3))
def test_a_fold_is_calibrated_by_the_others(number: int) -> None:
    """A fold's calibrated log-odds come of a calibration that its own outcomes had no part in."""
    log_odds, others, here = 2 * TRUTH + 1, number != FOLD, number == FOLD
    chosen, calibrated = choose_calibration(log_odds, CHURNED, FOLD)
    expected = fit_calibration(chosen.kind, log_odds[others], CHURNED[others]).apply(log_odds[here])
    np.testing.assert_array_equal(calibrated[here], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.1, 5.0, 60.0, 500.0])
def test_separable_outcomes_give_finite_parameters(kind: Kind, size: float) -> None:
    """Where scores part the outcomes without a mistake, slopes stay finite and positive."""
    churned = np.arange(40) < 20
    found = fit_calibration(kind, np.where(churned, size, -size), churned)
    assert np.isfinite([found.a, found.b, found.c]).all()
    assert min(found.a, found.b) > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [True, False])
def test_one_outcome_alone_gives_finite_parameters(kind: Kind, outcome: bool) -> None:
    """A fold without a churner, or without one who stayed, breaks nothing."""
    found = fit_calibration(kind, np.linspace(-3, 3, 30), np.full(30, outcome))
    assert np.isfinite([found.a, found.b, found.c]).all()


def test_next_to_no_data_changes_next_to_nothing() -> None:
    """Two customers teach little: the slopes stay near 1."""
    found = fit_calibration("beta", np.array([-1.0, 1.0]), np.array([False, True]))
    assert [found.a, found.b, found.c] == pytest.approx([1, 1, 0], abs=0.2)


def test_losses_are_those_of_the_probabilities() -> None:
    """The loss of a row is minus the log of the probability of what happened; it does not overflow."""
    log_odds, churned = np.array([0.0, np.log(3), np.log(3), -1e6]), np.array([True, True, False, True])
    np.testing.assert_allclose(losses(log_odds, churned), [-np.log(0.5), -np.log(0.75), -np.log(0.25), 1e6])
    assert mean_log_loss(log_odds[:2], churned[:2]) == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)


def _invert(calibration: Calibration, log_odds: Floats) -> Floats:
    """Find what a calibration would turn into these log-odds."""
    grid = np.linspace(-60, 60, 240_001)
    return np.interp(log_odds, calibration.apply(grid), grid)
