"""Two models on the same customers: how much better, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from churn_mlops.models.comparison import improve_log_loss
from churn_mlops.models.metrics import ScoreCounts

RANDOM = np.random.default_rng(0)
PROBABILITY = RANDOM.uniform(0.02, 0.98, 2000)
CHURNED = RANDOM.random(2000) < PROBABILITY
WORSE = 0.5 + (PROBABILITY - 0.5) / 2


def test_the_improvement_is_the_difference_of_the_log_losses() -> None:
    """It is what the two metrics differ by, above 0 where the first is better."""
    better, worse = (ScoreCounts.count(CHURNED, p).metrics().log_loss for p in (PROBABILITY, WORSE))
    assert improve_log_loss(CHURNED, PROBABILITY, WORSE).value == pytest.approx(worse - better)


def test_equal_models_do_not_differ_at_all() -> None:
    """There is nothing to be unsure of."""
    assert improve_log_loss(CHURNED, PROBABILITY, PROBABILITY) == (0, 0, 0)


def test_the_interval_is_that_of_the_paired_differences() -> None:
    """It is narrower than that of the log loss itself, and holds what resampling the customers gives."""
    improvement = improve_log_loss(CHURNED, PROBABILITY, WORSE)
    draws = (RANDOM.integers(0, 2000, 2000) for _ in range(500))
    drawn = [improve_log_loss(CHURNED[rows], PROBABILITY[rows], WORSE[rows]).value for rows in draws]
    np.testing.assert_allclose(improvement[1:], np.percentile(drawn, [2.5, 97.5]), atol=0.004)


def test_a_fold_that_was_unlucky_widens_the_interval() -> None:
    """Customers of one fold share a model: where all of them do worse, that is one observation and not many."""
    fold = np.arange(2000) % 5
    unlucky = np.where(fold == 0, WORSE, PROBABILITY)
    plain = improve_log_loss(CHURNED, PROBABILITY, unlucky)
    clustered = improve_log_loss(CHURNED, PROBABILITY, unlucky, [fold])
    assert plain.low > 0 > clustered.low
    assert clustered.value == plain.value


def test_customers_in_no_fold_stand_alone() -> None:
    """Scored by one model that saw none of them, there is no luck of the deal."""
    none = np.full(2000, -1)
    assert improve_log_loss(CHURNED, PROBABILITY, WORSE, [none]) == improve_log_loss(CHURNED, PROBABILITY, WORSE)


def test_a_certain_error_is_finite() -> None:
    """A probability of 0 for a churner costs much, but not infinitely much."""
    improvement = improve_log_loss(np.array([True, False]), np.array([0.0, 0.0]), np.array([0.5, 0.5]))
    assert np.isfinite(improvement).all()
