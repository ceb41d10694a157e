"""Profit and the cuts it leads to, on tables that can be worked out by hand and against slow, plain code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.models.decision import (
    Campaign,
    bootstrap_means,
    contact_top_decile,
    count_capacity,
    find_capacity_threshold,
    find_correction,
)

OFFER = Campaign(offer_cost=10, save_rate=0.5)
PROBABILITIES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=40)


def draw(rows: int, seed: int, shift: float = 0.0) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Draw outcomes, and probabilities that are the true ones moved by a shift in log-odds."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-1.3, 1.4, rows)
    churned = random.random(rows) < 1 / (1 + np.exp(-log_odds))
    return churned, 1 / (1 + np.exp(-log_odds - shift))


def test_profit_by_hand() -> None:
    """Contacting a churner worth 100 earns 0.5 * 100 - 10, a stayer costs 10; an expectation is in between."""
    assert OFFER.profit([True, False], 100).tolist() == [40, -10]
    assert OFFER.profit([0.2, 0.5], [100, 10]).tolist() == [0, -7.5]


@pytest.mark.parametrize(
    ("campaign", "value", "break_even"),
    [
        (OFFER, 100, 0.2),
        (OFFER, 20, 1.0),
        (OFFER, 10, 2.0),
        (OFFER, 0, np.inf),
        (OFFER, -5, np.inf),
        (Campaign(0, 0.5), 100, 0.0),
        (Campaign(0, 0.5), 0, 0.0),
    ],
)
def test_break_even_by_hand(campaign: Campaign, value: float, break_even: float) -> None:
    """The offer pays from offer_cost / (save_rate * value) on; for nothing never, and for free always."""
    assert campaign.break_even(value) == break_even


@given(cost=st.floats(0.01, 1e3), rate=st.floats(0.01, 1), value=st.floats(0.01, 1e4), probability=st.floats(0, 1))
def test_contacting_pays_exactly_from_break_even_on(cost: float, rate: float, value: float, probability: float) -> None:
    """At break-even the expected profit is 0, above it more, below it less."""
    campaign = Campaign(cost, rate)
    break_even = float(campaign.break_even(value))
    assert float(campaign.profit(break_even, value)) == pytest.approx(0, abs=1e-9 * cost)
    expected = float(campaign.profit(probability, value))
    assert (expected > 1e-9 * cost) <= (probability > break_even)
    assert (expected < -1e-9 * cost) <= (probability < break_even)


def earned_by_cut(campaign: Campaign, churned: npt.ArrayLike, probability: npt.ArrayLike, cut: float) -> float:
    """Sum the profit of contacting from a probability on, customer by customer."""
    pairs = zip(np.asarray(churned), np.asarray(probability), strict=True)
    return float(sum(campaign.save_rate * 100 * left - campaign.offer_cost for left, p in pairs if p >= cut))


def test_three_plans_by_hand() -> None:
    """Of three plans 10, 30 and 80 in 100 leave: 0.2 is break-even, and contacting the latter two earns 3,500."""
    probability = np.repeat([0.1, 0.3, 0.8], 100)
    churned = np.concatenate([np.arange(100) < left for left in (10, 30, 80)])
    assert find_correction(OFFER, churned, probability, 100) == 1
    assert earned_by_cut(OFFER, churned, probability, 0.2) == 0.5 * 100 * 110 - 10 * 200 == 3500
    assert all(earned_by_cut(OFFER, churned, probability, cut) < 3500 for cut in (0.0, 0.31, 0.9))


@pytest.mark.parametrize("stated", [0.21, 0.3, 0.5, 0.99])
def test_a_plateau_is_resolved_to_break_even(stated: float) -> None:
    """Where no score lies between the plans, any cut there earns the same, and break-even is the one taken."""
    probability = np.repeat([0.1, stated], 500)
    churned = np.concatenate([np.arange(500) < 50, np.arange(500) < 250])
    assert find_correction(OFFER, churned, probability, 100) == 1


@pytest.mark.parametrize("seed", range(20))
def test_noise_does_not_move_a_calibrated_threshold_far(seed: int) -> None:
    """Calibrated probabilities lose next to nothing of what break-even earns on average, whatever the draw."""
    churned, probability = draw(2000, seed)
    correction = find_correction(OFFER, churned, probability, 100)
    expected = OFFER.profit(probability, 100)
    lost = expected[probability >= 0.2].sum() - expected[probability >= 0.2 * correction].sum()
    assert 0 <= lost <= 0.02 * expected[probability >= 0.2].sum()


def test_most_draws_keep_break_even() -> None:
    """Of 100 draws of calibrated probabilities, at least three in four leave the threshold where it was."""
    kept = sum(find_correction(OFFER, *draw(1000, seed), 100) == 1 for seed in range(100))
    assert kept >= 75


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_clearly_wrong_probabilities_are_corrected(shift: float) -> None:
    """Where all probabilities are moved in log-odds, the threshold moves the same way, and earns most of the loss."""
    churned, stated = draw(20_000, 0, shift)
    right = 1 / (1 + np.exp(-(np.log(0.2 / 0.8) + shift)))
    correction = find_correction(OFFER, churned, stated, 100)
    assert 0.2 * correction == pytest.approx(right, rel=0.3)
    best, kept, moved = (earned_by_cut(OFFER, churned, stated, cut) for cut in (right, 0.2, 0.2 * correction))
    assert best - moved < 0.1 * (best - kept)


@pytest.mark.parametrize(("churned", "is_everybody"), [(True, True), (False, False)])
def test_a_correction_can_reach_everybody_and_nobody(churned: bool, is_everybody: bool) -> None:
    """If all leave though nobody was said to, all are contacted, down to the lowest score; if none, none."""
    probability = np.linspace(0.01, 0.19, 500) if churned else np.linspace(0.21, 0.9, 500)
    correction = find_correction(OFFER, np.full(500, churned), probability, 100)
    contacted = probability >= 0.2 * correction
    assert contacted.all() if is_everybody else contacted.mean() < 0.05


def test_a_free_offer_needs_no_correction() -> None:
    """Contacting everybody cannot lose, so there is nothing to learn."""
    churned, probability = draw(500, 0, shift=2)
    assert find_correction(Campaign(0, 0.3), churned, probability, 100) == 1


@given(probability=PROBABILITIES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_correction_is_a_number_whatever_the_table(probability: list[float], seed: int) -> None:
    """Ties, single rows, zeros and values of nothing included."""
    random = np.random.default_rng(seed)
    value = random.choice([0.0, 5.0, 100.0], len(probability))
    found = find_correction(OFFER, random.random(len(probability)) < 0.5, probability, value)
    assert 0 <= found < np.inf


def test_a_value_per_customer_ranks_by_profit() -> None:
    """At 0.2 of 100 and 0.4 of 50 the profit is the same; values that differ do not disturb a calibrated model."""
    random = np.random.default_rng(0)
    churned, probability = draw(5000, 1)
    assert find_correction(OFFER, churned, probability, random.uniform(20, 300, 5000)) == 1


@pytest.mark.parametrize(
    ("capacity", "threshold"),
    [
        (1, 0.9),
        (2, 0.8),
        (3, 0.8),  # the two at .5 would make it four
        (4, 0.5),
        (5, 0.0),
        (50, 0.0),
        (0.2, 0.9),
        (0.59, 0.8),
        (0.8, 0.5),
        (0.99, 0.5),
        (0.1, 0.9),  # nobody fits, so the first ones do
    ],
)
def test_capacity_by_hand(capacity: float, threshold: float) -> None:
    """Of five customers, as many as fit are selected, those who tie together or not at all."""
    assert find_capacity_threshold([0.5, 0.9, 0.1, 0.8, 0.5], capacity) == threshold


@given(probability=PROBABILITIES, capacity=st.integers(1, 45) | st.floats(0.01, 0.99))
def test_a_capacity_is_filled_and_not_exceeded(probability: list[float], capacity: float) -> None:
    """No more than fit are selected unless even the first ones do not, and the next ones would not have fitted."""
    scores = np.array(probability)
    fits = capacity if capacity >= 1 else capacity * len(scores) + 1e-9
    threshold = find_capacity_threshold(probability, capacity)
    selected, highest = int((scores >= threshold).sum()), int((scores == scores.max()).sum())
    assert selected <= max(fits, highest)
    if (scores < threshold).any():
        runner_up = scores[scores < threshold].max()
        assert np.count_nonzero(scores >= runner_up) > fits


@pytest.mark.parametrize(
    ("share", "customers", "count"), [(0.29, 100, 29), (0.07, 100, 7), (0.1, 7043, 704), (0.5, 3, 1), (12, 7, 12)]
)
def test_a_share_is_rounded_down_but_not_by_floats(share: float, customers: int, count: int) -> None:
    """0.29 of 100 is 29, though the product of the floats is below it."""
    assert count_capacity(share, customers) == count


def test_the_top_decile_by_hand() -> None:
    """Of 20 customers two are contacted: the first, and of the four who tie for the second place a quarter each."""
    contacted = contact_top_decile([0.9, 0.7, 0.7, 0.7, 0.7, *np.linspace(0, 0.5, 15)])
    assert contacted.tolist() == [1, 0.25, 0.25, 0.25, 0.25, *[0] * 15]


@given(probability=PROBABILITIES)
def test_the_top_decile_is_a_tenth(probability: list[float]) -> None:
    """Whatever the ties, a tenth is contacted, rounded down, and nobody before someone more at risk."""
    contacted, scores = contact_top_decile(probability), np.array(probability)
    assert contacted.sum() == pytest.approx(len(scores) // 10)
    assert (np.diff(contacted[np.argsort(scores, kind="stable")]) >= 0).all()


def test_a_mean_and_its_interval_match_the_normal_one() -> None:
    """For a mean, the bootstrap interval is that of the central limit theorem: 1.96 standard errors around it."""
    figures = np.random.default_rng(0).normal(3, 2, (5000, 1))
    (found,) = bootstrap_means(figures, 2000, 0)
    half = 1.96 * figures.std() / np.sqrt(5000)
    assert found.value == pytest.approx(figures.mean())
    assert [found.low, found.high] == pytest.approx([figures.mean() - half, figures.mean() + half], abs=0.1 * half)


def test_columns_are_resampled_together() -> None:
    """The difference of two columns that differ by 1 everywhere is 1 in every draw."""
    first = np.random.default_rng(0).normal(0, 5, 300)
    found = bootstrap_means(np.column_stack([first, first - 1, first - (first - 1)]), 200, 0)
    assert found[2] == pytest.approx((1, 1, 1))
    assert found[0].low - found[1].low == pytest.approx(1)


def test_equal_seeds_draw_equally() -> None:
    """The seed is used, 0 included."""
    figures = np.random.default_rng(0).normal(0, 1, (100, 2))
    assert bootstrap_means(figures, 100, 0) == bootstrap_means(figures, 100, 0) != bootstrap_means(figures, 100, 1)
