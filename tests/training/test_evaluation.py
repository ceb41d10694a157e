"""The evaluation holds the figures of the chosen candidate, beside those that it has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hand_made_candidates import hand_made_candidate
from learnable_tables import draw_customers, make_table

from churn_mlops.config.settings import TrainingSettings
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.metrics import Metrics, ScoreCounts
from churn_mlops.training.contest import Contest
from churn_mlops.training.evaluation import evaluate
from churn_mlops.training.trial import Trial

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.registry.manifest import Evaluation

    Floats = npt.NDArray[np.float64]

CUSTOMERS = draw_customers(600)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)


def _evaluate(probability: Floats, other: Floats, rows_used: int = 600) -> Evaluation:
    """Evaluate a contest of two candidates with these out-of-fold probabilities; the first one is chosen."""
    first = hand_made_candidate("ebm", np.log(probability / (1 - probability)))
    second = hand_made_candidate("boosted", np.log(other / (1 - other)))
    settings = TrainingSettings(folds=3, bootstrap_resamples=100)
    contest = Contest((first, second), first)
    trial = Trial(TABLE, FOLD, first.probability, FOLD, first.probability)
    return evaluate(trial, contest, settings, rows_used)


def test_an_evaluation_holds_every_metric_with_its_interval() -> None:
    """The figures are those of the metrics, and stand inside their intervals, for the model and the rule."""
    probability = np.clip(0.8 - TABLE.features["tenure"].to_numpy() / 90, 0.05, 0.95)
    found = _evaluate(probability, np.full(600, 0.4))
    values = {name: estimate.value for name, estimate in found.metrics.items()}
    assert values == pytest.approx(ScoreCounts.count(TABLE.churned, probability).metrics()._asdict())
    assert list(found.metrics) == list(found.no_skill) == list(found.best_rule.metrics) == list(Metrics._fields)
    estimates = [*found.metrics.values(), *found.best_rule.metrics.values()]
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in estimates)


def test_an_evaluation_names_its_method_and_the_best_rule() -> None:
    """Folds, resamples and the column to beat are part of the record."""
    found = _evaluate(np.full(600, 0.4), np.full(600, 0.5))
    assert found.method.startswith("3-fold out-of-fold")
    assert "100 bootstrap resamples" in found.method
    assert found.best_rule.column == "tenure"
    assert found.sampled_rows is None
    assert "fitted on all rows" not in found.method


def test_an_evaluation_says_that_it_is_one_of_a_sample() -> None:
    """How many rows, of how many, and that the model is fitted on all of them."""
    found = _evaluate(np.full(600, 0.4), np.full(600, 0.5), rows_used=9000)
    assert found.sampled_rows == 600
    assert found.method.endswith(
        "; on a seeded sample of 600 of the 9,000 rows, whole customers; the model itself is fitted on all rows"
    )


def test_an_evaluation_lists_every_candidate() -> None:
    """Also those that were not chosen, best first, so that the choice can be judged."""
    found = _evaluate(np.full(600, 0.5), np.full(600, 0.4))
    assert [(score.family, score.chosen) for score in found.candidates] == [("boosted", False), ("ebm", True)]
