"""The points of the curves: they agree with the metrics, and with what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.report.curves import MOST_POINTS, bin_calibration, trace_ranking, wilson_interval


def _draw(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probability = random.beta(1, 3, rows)
    return random.random(rows) < probability, probability


def test_the_ranking_is_that_of_the_roc_curve() -> None:
    """Rates at every distinct score are scikit-learn's."""
    churned, probability = _draw(300)
    ranking = trace_ranking(ScoreCounts.count(churned, probability))
    false_positive, true_positive, _ = roc_curve(churned, probability, drop_intermediate=False)
    np.testing.assert_allclose(ranking.false_positive_rate, false_positive)
    np.testing.assert_allclose(ranking.true_positive_rate, true_positive)


def test_the_area_under_the_drawn_curve_is_the_metric() -> None:
    """Thinning a curve of many scores changes its area in the fourth digit at most."""
    counts = ScoreCounts.count(*_draw(20_000))
    ranking = trace_ranking(counts)
    assert len(ranking.score) <= MOST_POINTS + 1
    area = np.trapezoid(ranking.true_positive_rate, ranking.false_positive_rate)
    assert area == pytest.approx(counts.metrics().roc_auc, abs=5e-4)


def test_a_ranking_begins_with_nobody_and_ends_with_everyone() -> None:
    """Whatever is thinned out, the ends stay."""
    ranking = trace_ranking(ScoreCounts.count(*_draw(5000)))
    assert (ranking.contacted_share[0], ranking.contacted_share[-1]) == (0, 1)
    assert (ranking.true_positive_rate[-1], ranking.false_positive_rate[-1], ranking.lift[-1]) == (1, 1, 1)


@pytest.mark.parametrize(("threshold", "contacted"), [(0.95, 0.0), (0.9, 0.25), (0.5, 0.5), (0.0, 1.0)])
def test_a_threshold_is_found_where_everyone_above_it_was_gone_through(threshold: float, contacted: float) -> None:
    """A probability that equals the threshold is above it, as in the decision."""
    ranking = trace_ranking(ScoreCounts.count([True, True, False, False], [0.9, 0.6, 0.4, 0.1]))
    assert ranking.contacted_share[ranking.at(threshold)] == contacted


def test_the_gaps_of_the_bins_are_the_calibration_error() -> None:
    """The points that are drawn are the bins that the metric is made of."""
    counts = ScoreCounts.count(*_draw(1000))
    bins = bin_calibration(counts)
    error = np.average(np.abs(bins.predicted - bins.observed), weights=bins.customers)
    assert error == pytest.approx(counts.metrics().calibration_error)
    assert np.all(np.diff(bins.predicted) > 0)


def test_one_score_for_everyone_is_one_bin() -> None:
    """Empty bins are left away instead of divided by."""
    bins = bin_calibration(ScoreCounts.count([True, False, False, False], [0.25] * 4))
    assert (bins.predicted.tolist(), bins.observed.tolist(), bins.customers.tolist()) == ([0.25], [0.25], [4])


def test_the_interval_of_a_share_is_wilsons() -> None:
    """0 of 10 and 5 of 10, against the published values."""
    low, high = wilson_interval(np.array([0.0, 5.0]), np.array([10.0, 10.0]))
    np.testing.assert_allclose(low, [0, 0.2366], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.7634], atol=1e-4)
