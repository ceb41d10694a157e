"""Scoring without having seen: what was trained on is judged out of fold, all else as it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from contests import CUSTOMERS, open_contest

from churn_mlops.data.table import load_customers
from churn_mlops.inference.scorer import load_version
from churn_mlops.training.blind_scores import UNSEEN, BlindScores, score_blindly
from churn_mlops.training.out_of_fold import read_out_of_fold

if TYPE_CHECKING:
    import pandas as pd
    from contests import Contest

OLD, NEW = CUSTOMERS.iloc[:800], CUSTOMERS.iloc[800:1000]


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """A version trained on the old customers."""
    return open_contest(tmp_path_factory.mktemp("contest"), OLD)


def _score(contest: Contest, customers: pd.DataFrame) -> BlindScores:
    table = load_customers(contest.compare_on(customers).settings.data)
    return score_blindly(contest.registry, load_version(contest.registry, contest.registry.champion()), table)


def test_rows_it_was_trained_on_get_their_out_of_fold_probability(contest: Contest) -> None:
    """Whatever place and further columns they have now, and to the last bit."""
    known = read_out_of_fold(contest.registry, contest.registry.read(contest.registry.champion()))
    scores = _score(contest, OLD.iloc[::-1].assign(extra=np.arange(800) % 7))
    np.testing.assert_array_equal(scores.probability, known.probability[::-1])
    np.testing.assert_array_equal(scores.fold, known.fold[::-1])


def test_all_other_rows_are_scored_as_served(contest: Contest) -> None:
    """New customers among old ones are told apart."""
    scores = _score(contest, CUSTOMERS.iloc[:1000])
    np.testing.assert_array_equal(scores.trained_on, np.arange(1000) < 800)
    np.testing.assert_array_equal(scores.fold[800:], UNSEEN)
    np.testing.assert_array_equal(scores.probability[800:], scores.served[800:])
    assert not np.isclose(scores.probability[:800], scores.served[:800]).all()


def test_what_is_served_does_not_depend_on_the_company(contest: Contest) -> None:
    """A row is encoded by the signature of the version, not by what else is in the table."""
    alone, among_others = _score(contest, NEW), _score(contest, CUSTOMERS.iloc[:1000])
    np.testing.assert_allclose(alone.served, among_others.served[800:], atol=1e-6)


def test_outcomes_that_training_was_told_otherwise_are_counted(contest: Contest) -> None:
    """Of the rows that it was trained on, those whose outcome is another now; new ones cannot be contradicted."""
    changed = CUSTOMERS.iloc[:1000].assign(churned=lambda frame: frame["churned"] ^ (np.arange(1000) % 100 == 0))
    assert _score(contest, CUSTOMERS.iloc[:1000]).contradicted.sum() == 0
    assert np.flatnonzero(_score(contest, changed).contradicted).tolist() == list(range(0, 800, 100))
