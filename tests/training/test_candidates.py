"""Candidates are scored on rows that they never saw, calibrated by other folds, and chosen by a rule that is told."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import pytest
from hand_made_candidates import hand_made_candidate
from learnable_tables import draw_customers, make_table
from sklearn.base import BaseEstimator

from churn_mlops.models.calibration import Calibration, mean_log_loss
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.training.candidates import Candidate, blend, choose, compare, cross_validate

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Family

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

CUSTOMERS = draw_customers(600)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)


class Memory(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A family that says 1 of a customer it was fitted on, and 0 of any other."""

    def fit(self, matrix: Floats, churned: Bools) -> Memory:
        """Remember tenure and charges, which the encoder does not change from fold to fold."""
        self.seen_ = set(map(tuple, matrix[:, [0, 2]].tolist()))
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Tell whether each customer was seen."""
        return np.array([float(tuple(row) in self.seen_) for row in matrix[:, [0, 2]].tolist()])


class FirstColumn(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A family that takes the first feature's code for the log-odds."""

    def fit(self, matrix: Floats, churned: Bools) -> FirstColumn:
        """Learn nothing."""
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give the code."""
        return matrix[:, 0]


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    """A family that remembers its rows recognises none, though 100 rows are there twice."""
    twice = pd.concat([TABLE.features, TABLE.features.iloc[:100]], ignore_index=True)
    churned = np.concatenate([TABLE.churned, ~TABLE.churned[:100]])
    fold = DuplicateGroupedKFold(5, 0).assign(twice, churned)
    candidate = cross_validate("ebm", Memory(), {}, make_table(twice, churned), fold, 20, lambda number: None)
    assert not candidate.raw_log_odds.any()


class HoldingOut(FirstColumn):
    """A family that holds rows out by itself, and remembers whose rows it was given."""

    told: ClassVar[list[list[str]]] = []

    def fit(self, matrix: Floats, churned: Bools, groups: pd.Series | None = None) -> HoldingOut:
        """Remember it."""
        self.told.append([] if groups is None else groups.tolist())
        return self


def test_a_family_is_told_whose_rows_it_is_fitted_on() -> None:
    """So that it can hold customers out whole, as the folds do."""
    HoldingOut.told.clear()
    ids = np.array([f"C{row}" for row in range(600)])
    cross_validate(
        "ebm", HoldingOut(), {}, dataclasses.replace(TABLE, customer_ids=pd.Series(ids)), FOLD, 20, lambda number: None
    )
    assert HoldingOut.told == [ids[number != FOLD].tolist() for number in range(3)]


def test_every_fold_is_announced_before_it_begins() -> None:
    """Whoever watches is told of each fold in order."""
    begun: list[int] = []
    cross_validate("ebm", Memory(), {}, TABLE, FOLD, 20, begun.append)
    assert begun == [0, 1, 2]


def test_shuffled_outcomes_cannot_be_learnt() -> None:
    """Where the outcome has nothing to do with the features the out-of-fold AUC is chance."""
    shuffled = make_table(TABLE.features, np.random.default_rng(1).permutation(TABLE.churned))
    found = cross_validate("logistic", build_logistic(TABLE.kinds), {}, shuffled, FOLD, 20, lambda number: None)
    counts = ScoreCounts.count(shuffled.churned, found.probability)
    assert counts.metrics().roc_auc == pytest.approx(0.5, abs=0.07)


def test_the_order_of_categories_is_learnt_inside_the_folds() -> None:
    """Where every customer has a category of their own kind by chance, its order says nothing of rows held out."""
    random = np.random.default_rng(3)
    plans = pd.Series([f"p{place}" for place in random.integers(0, 60, 900)], dtype="str")
    table = make_table(pd.DataFrame({"code": plans, "n": np.arange(900.0)}), random.random(900) < 0.4)
    fold = DuplicateGroupedKFold(3, 0).assign(table.features, table.churned)
    found = cross_validate("ebm", FirstColumn(), {}, table, fold, 5, lambda number: None)
    assert ScoreCounts.count(table.churned, found.raw_log_odds / 60).metrics().roc_auc < 0.55


RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(-0.5, 1.5, 1500)
LEFT = RANDOM.random(1500) < 1 / (1 + np.exp(-TRUTH))
NOISE = RANDOM.normal(size=(3, 1500))
THIRDS = np.arange(1500) % 3
BOOSTED = hand_made_candidate("boosted", TRUTH)


def _candidate(family: Family, error: float, noise: int = 0) -> Candidate:
    """Make a candidate whose log-odds are so far off the truth."""
    return hand_made_candidate(family, TRUTH + error * NOISE[noise])


@pytest.mark.parametrize("family", ["ebm", "logistic"])
def test_explainable_is_taken_within_one_standard_error(family: Family) -> None:
    """It is worse than the best, but not by more than its difference to the best varies."""
    explainable = _candidate(family, 0.05, noise=1)
    worse_by, error = _difference(explainable, BOOSTED)
    assert 0 < worse_by < error
    assert choose([BOOSTED, explainable], LEFT) is explainable


@pytest.mark.parametrize("family", ["ebm", "logistic"])
def test_explainable_is_not_taken_beyond_one_standard_error(family: Family) -> None:
    """What can be explained exactly is no excuse for what is clearly worse."""
    explainable = _candidate(family, 1.0)
    worse_by, error = _difference(explainable, BOOSTED)
    assert worse_by > error
    assert choose([explainable, BOOSTED], LEFT) is BOOSTED


def test_of_explainable_candidates_the_better_one_is_taken() -> None:
    """The first of them by log loss, not by place."""
    logistic, ebm = _candidate("logistic", 0.06, noise=1), _candidate("ebm", 0.03)
    assert choose([logistic, BOOSTED, ebm], LEFT) is ebm


def test_the_best_is_taken_where_none_is_explainable() -> None:
    """There is nothing to prefer."""
    assert choose([_candidate("blend", -0.05), BOOSTED], LEFT) is BOOSTED


def test_a_comparison_has_the_figures_of_every_candidate() -> None:
    """Best first: log loss, distance to the best with its standard error, and which one is chosen."""
    ebm, logistic = _candidate("ebm", 0.5), dataclasses.replace(_candidate("logistic", 1.0), fit_seconds=0.1234)
    scores = compare([logistic, BOOSTED, ebm], ebm, LEFT)
    assert [(score.family, score.chosen, score.explainable) for score in scores] == [
        ("boosted", False, False),
        ("ebm", True, True),
        ("logistic", False, True),
    ]
    for score, candidate in zip(scores, (BOOSTED, ebm, logistic), strict=True):
        assert score.log_loss == pytest.approx(mean_log_loss(candidate.log_odds, LEFT))
        assert (score.worse_by, score.standard_error) == pytest.approx(_difference(candidate, BOOSTED))
    assert (scores[0].worse_by, scores[0].standard_error, scores[2].fit_seconds) == (0, 0, 0.12)


def test_a_comparison_tells_the_settings() -> None:
    """What tuning chose, and the calibration."""
    calibrated = dataclasses.replace(
        BOOSTED, settings={"num_leaves": 7}, calibration=Calibration("sigmoid", 0.9, 0.9, 0.0)
    )
    (score,) = compare([calibrated], calibrated, LEFT)
    assert score.settings == {"num_leaves": 7, "calibration": "sigmoid"}


def _blend_with(left: Bools) -> Candidate:
    members = [_candidate("boosted", 0.5), _candidate("ebm", 0.8, noise=1)]
    return blend(members, left, THIRDS)


def test_a_fold_is_blended_without_its_own_outcomes() -> None:
    """With the outcomes of one fold turned round, its blended log-odds stay, and those of the others move."""
    found, turned = _blend_with(LEFT), _blend_with(np.where(THIRDS == 1, ~LEFT, LEFT))
    same = found.raw_log_odds == turned.raw_log_odds
    assert same[THIRDS == 1].all()
    assert not same[THIRDS != 1].any()


def test_a_blend_of_errors_is_better_than_its_members() -> None:
    """Where two candidates err independently the average errs less, and the better one has more weight."""
    members = [_candidate("boosted", 0.5), _candidate("ebm", 0.8, noise=1)]
    blended = blend(members, LEFT, THIRDS)
    assert mean_log_loss(blended.log_odds, LEFT) < min(mean_log_loss(member.log_odds, LEFT) for member in members)
    weights = blended.estimator.weights
    assert weights["boosted"] > weights["ebm"] > 0.1


def test_a_blend_tells_its_weights_and_all_the_time_it_took() -> None:
    """Weights sum to 1, stand among the settings, and the members' seconds count."""
    blended = _blend_with(LEFT)
    assert blended.settings == {f"weight of {name}": weight for name, weight in blended.estimator.weights.items()}
    assert sum(blended.estimator.weights.values()) == pytest.approx(1)
    assert blended.fit_seconds > 2


def _difference(candidate: Candidate, best: Candidate) -> tuple[float, float]:
    """How much worse a candidate is, and the standard error of that, from probabilities."""
    losses = [-np.log(np.where(LEFT, one.probability, 1 - one.probability)) for one in (candidate, best)]
    difference = losses[0] - losses[1]
    return float(difference.mean()), float(np.sqrt(difference.var(ddof=1) / len(difference)))
