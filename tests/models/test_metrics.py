"""The metrics against scikit-learn and against slow, plain implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as scikit_learn

from churn_mlops.models import metrics
from churn_mlops.models.metrics import CALIBRATION_BINS, LIFT_SHARE, Metrics, ScoreCounts, no_skill

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Outcomes = npt.NDArray[np.bool_]

SCORES: dict[str, Callable[[np.random.Generator], Floats]] = {
    "all scores differ": lambda random: random.random(997),
    "a hundred scores": lambda random: random.integers(0, 101, 1000) / 100,
    "two scores": lambda random: random.choice([0.2, 0.7], 500),
    "one score": lambda random: np.full(300, 0.3),
    "certain scores": lambda random: random.choice([0.0, 0.4, 1.0], 400),
    "fewer rows than bins": lambda random: random.random(7),
}


@pytest.fixture(params=SCORES)
def scored(request: pytest.FixtureRequest) -> tuple[Outcomes, Floats]:
    """Outcomes that depend on the scores, with every pattern of ties, and at least one of each outcome."""
    random = np.random.default_rng(4)
    score = SCORES[request.param](random)
    churned = random.random(len(score)) < score * 0.8 + 0.1
    churned[:2] = True, False
    return churned, score


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("roc_auc", scikit_learn.roc_auc_score),
        ("average_precision", scikit_learn.average_precision_score),
        ("brier", scikit_learn.brier_score_loss),
    ],
)
def test_ranking_and_brier_are_those_of_scikit_learn(
    name: str, reference: Callable[[Outcomes, Floats], float], scored: tuple[Outcomes, Floats]
) -> None:
    """ROC AUC, average precision and Brier equal scikit-learn's, whatever the ties."""
    assert getattr(ScoreCounts.count(*scored).metrics(), name) == pytest.approx(reference(*scored), abs=1e-12)


def test_log_loss_is_that_of_scikit_learn(scored: tuple[Outcomes, Floats]) -> None:
    """Log loss equals scikit-learn's, where probabilities of 0 and 1 are kept equally far from certainty."""
    churned, score = scored
    reference = scikit_learn.log_loss(churned, np.clip(score, 1e-15, 1 - 1e-15))
    assert ScoreCounts.count(churned, score).metrics().log_loss == pytest.approx(reference, abs=1e-12)


def test_calibration_error_is_that_of_ten_bins_counted_by_hand(scored: tuple[Outcomes, Floats]) -> None:
    """Calibration error equals a loop that puts each customer, at the middle of its ties, in one of ten bins."""
    churned, score = scored
    gaps = [0.0] * CALIBRATION_BINS
    for left, p in zip(churned, score, strict=True):
        middle = ((score > p).sum() + (score == p).sum() / 2) / len(score)
        gaps[min(int(CALIBRATION_BINS * middle), CALIBRATION_BINS - 1)] += left - p
    expected = sum(abs(gap) for gap in gaps) / len(score)
    assert ScoreCounts.count(churned, score).metrics().calibration_error == pytest.approx(expected, abs=1e-12)


def test_lift_is_that_of_the_best_tenth_taken_customer_by_customer(scored: tuple[Outcomes, Floats]) -> None:
    """Lift equals a loop that walks down the ranking until a tenth is taken, tied customers each in part."""
    churned, score = scored
    wanted = room = LIFT_SHARE * len(score)
    found = 0.0
    for p in sorted(set(score), reverse=True):
        tied = churned[score == p]
        taken = min(room, len(tied))
        found += taken * tied.mean()
        room -= taken
    expected = found / wanted / churned.mean()
    assert ScoreCounts.count(churned, score).metrics().lift_at_10 == pytest.approx(expected, abs=1e-12)


def test_order_of_customers_does_not_matter(scored: tuple[Outcomes, Floats]) -> None:
    """The same customers in another order have the same metrics."""
    churned, score = scored
    order = np.random.default_rng(0).permutation(len(score))
    assert ScoreCounts.count(churned[order], score[order]).metrics() == ScoreCounts.count(churned, score).metrics()


def test_a_perfect_ranking_has_the_best_figures() -> None:
    """Certain and right is 1, 1, 0, 0, 0, and as much lift as the base rate leaves room for."""
    churned = np.arange(1000) < 200
    found = ScoreCounts.count(churned, churned.astype(float)).metrics()
    assert found == pytest.approx(Metrics(1, 1, 0, 0, 0, 5), abs=1e-12)


def test_no_skill_is_what_the_base_rate_scores() -> None:
    """The closed form equals the metrics of the base rate given to everyone."""
    churned = np.arange(1000) < 265
    assert no_skill(0.265) == pytest.approx(ScoreCounts.count(churned, np.full(1000, 0.265)).metrics(), abs=1e-12)


def _draw(rows: int) -> ScoreCounts:
    random = np.random.default_rng(11)
    score = random.random(rows)
    return ScoreCounts.count(random.random(rows) < score, score)


def test_every_interval_holds_its_figure(scored: tuple[Outcomes, Floats]) -> None:
    """No interval leaves its figure outside, also for the calibration error, which resampling inflates."""
    churned, score = (np.tile(column, 100) for column in scored)  # no resample is without a churner
    counts = ScoreCounts.count(churned, score)
    intervals = counts.intervals(100, seed=0)
    outside = [
        name
        for name, value in counts.metrics()._asdict().items()
        if not intervals[name].low <= value <= intervals[name].high
    ]
    assert outside == []


def test_the_interval_of_a_perfect_calibration_holds_zero() -> None:
    """Every resample errs more than customers who churn exactly as often as they are said to; the figure is inside."""
    score = np.repeat(np.arange(1, 10) / 10, 100)
    churned = np.tile(np.arange(100), 9) < score * 100 - 0.5
    counts = ScoreCounts.count(churned, score)
    assert counts.metrics().calibration_error == pytest.approx(0, abs=1e-12)
    assert counts.intervals(100, seed=0)["calibration_error"].low == 0


def test_intervals_shrink_with_more_customers() -> None:
    """Sixteen times the customers give every metric an interval of a quarter of the width, give or take."""
    few, many = (_draw(rows).intervals(200, seed=1) for rows in (300, 4800))
    shrink = {name: (few[name].high - few[name].low) / (many[name].high - many[name].low) for name in Metrics._fields}
    assert all(2.5 < times < 6.5 for times in shrink.values()), shrink


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 200 samples drawn from one truth, about 95 in 100 have the true Brier score inside their interval."""
    truth = 1 / 6  # the mean of p (1 - p) over p uniform on 0 to 1
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        score = random.random(400)
        interval = ScoreCounts.count(random.random(400) < score, score).intervals(100, seed)["brier"]
        covered += interval.low <= truth <= interval.high
    assert 180 <= covered <= 199


def test_equal_seeds_give_equal_intervals() -> None:
    """The draws come from the seed alone."""
    assert _draw(500).intervals(100, seed=3) == _draw(500).intervals(100, seed=3)


def test_other_seeds_give_other_intervals() -> None:
    """Seed 0 is a seed like any other."""
    assert _draw(500).intervals(100, seed=0) != _draw(500).intervals(100, seed=1)


def test_intervals_stay_within_what_a_metric_can_be() -> None:
    """A perfect ranking has no interval beyond 1, nor one below 0."""
    churned = np.arange(200) < 60
    intervals = ScoreCounts.count(churned, np.where(churned, 0.9, 0.1)).intervals(200, seed=0)
    assert all(interval.low >= 0 for interval in intervals.values())
    assert intervals["roc_auc"].high == 1


def test_merged_scores_have_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging keeps every customer and outcome, and moves neither figures nor the width of their intervals."""
    counts = _draw(20_000)
    merged = counts.merge(2000)
    assert len(merged.scores) <= 2000 < len(counts.scores)
    assert (merged.churned.sum(), merged.stayed.sum()) == (counts.churned.sum(), counts.stayed.sum())
    assert (np.diff(merged.scores) < 0).all()
    assert merged.metrics() == pytest.approx(counts.metrics(), abs=2e-3)
    assert counts.merge(20_000) is counts
    whole = counts.intervals(400, seed=0)
    monkeypatch.setattr(metrics, "RESAMPLED_SCORES", 2000)
    for name, (low, high) in counts.intervals(400, seed=1).items():
        assert high - low == pytest.approx(whole[name].high - whole[name].low, rel=0.2)
