"""What a single column can do: the rule to beat, and the leak to refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learnable_tables import make_table

from churn_mlops.errors import SuspectedLeak
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.training.one_column import ColumnRule, find_best_rule, refuse_leaks

RANDOM = np.random.default_rng(8)
ROWS = 2000
CHURNED = np.asarray(RANDOM.random(ROWS) < 0.3)
NOISE = pd.Series(RANDOM.normal(0, 1, ROWS))
FOLD = DuplicateGroupedKFold(5, 0).assign(NOISE.to_frame(), CHURNED)


def _agreeing(share: float, with_each: tuple[object, object] = ("yes", "no")) -> pd.Series:
    """A column that says the outcome on that share of the rows, and its contrary on the others."""
    says = np.where(np.random.default_rng(9).random(ROWS) < share, CHURNED, ~CHURNED)
    left, stayed = with_each
    return pd.Series([left if churned else stayed for churned in says])


def _best(**columns: pd.Series) -> ColumnRule:
    return find_best_rule(make_table(pd.DataFrame(columns), CHURNED), FOLD)


def test_the_best_rule_is_that_of_the_column_that_says_most() -> None:
    """Among a good, a weak and a meaningless column the good one is found, whatever its kind and place."""
    good, weak = _agreeing(0.9, (True, False)).astype("boolean"), _agreeing(0.6).astype("category")
    assert [_best(noise=NOISE, weak=weak, good=good).column, _best(good=good, noise=NOISE).column] == ["good"] * 2


def test_a_rule_on_categories_is_their_churn_rate_in_the_other_folds() -> None:
    """By hand: churners among the level's customers outside the fold, drawn towards the base rate by 20 rows."""
    plan = _agreeing(0.8)
    rule = _best(plan=plan)
    train = FOLD != 0
    here = train & (plan == "yes").to_numpy()
    expected = (CHURNED[here].sum() + 20 * CHURNED[train].mean()) / (here.sum() + 20)
    assert set(rule.probability[(FOLD == 0) & (plan == "yes").to_numpy()]) == {expected}


def test_a_level_never_seen_outside_its_fold_gets_the_base_rate() -> None:
    """A rule does not know what it was not told."""
    plan = pd.Series(np.where(FOLD == 2, "new", "old"))
    assert set(_best(plan=plan).probability[FOLD == 2]) == {CHURNED[FOLD != 2].mean()}


def test_a_number_is_cut_into_at_most_twenty_bins() -> None:
    """A rule on a number is a staircase: five folds of twenty steps at most."""
    assert 20 < len(np.unique(_best(noise=NOISE).probability)) <= 100


def test_missing_is_a_level_of_its_own() -> None:
    """A number whose absence alone tells churners makes a good rule."""
    hidden = NOISE.where(~(_agreeing(0.9) == "yes"))
    assert _best(hidden=hidden).counts.metrics().roc_auc > 0.85


def test_a_meaningless_column_makes_a_rule_without_skill() -> None:
    """Out of fold, a column of noise ranks no better than chance."""
    assert _best(noise=NOISE).counts.metrics().roc_auc == pytest.approx(0.5, abs=0.04)


LEAKS: dict[str, pd.Series] = {
    "a category": _agreeing(0.995),
    "a boolean": _agreeing(0.995, (True, False)).astype("boolean"),
    "a number": _agreeing(0.995, (1.0, 0.0)) * 100 + NOISE,
    "a falling number": _agreeing(0.995, (0.0, 1.0)) * 100 + NOISE,
    "its absence": NOISE.where(_agreeing(0.995) == "yes"),
    "its presence": NOISE.where(_agreeing(0.995) == "no"),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_column_that_all_but_decides_the_target_is_refused(leak: pd.Series) -> None:
    """Whatever its kind and direction, and also by where it is missing; the sentence says what to do."""
    table = make_table(pd.DataFrame({"noise": NOISE, "leak": leak}), CHURNED)
    with pytest.raises(SuspectedLeak, match=r"The column 'leak' .* Add it to data\.drop, or to data\.allow_leaky"):
        refuse_leaks(table, FOLD, ())


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_an_allowed_column_passes(leak: pd.Series) -> None:
    """The operator has the last word."""
    refuse_leaks(make_table(pd.DataFrame({"noise": NOISE, "leak": leak}), CHURNED), FOLD, ("leak",))


def test_allowing_one_column_allows_no_other() -> None:
    """Each is named on its own."""
    both = pd.DataFrame({"known": LEAKS["a category"], "leak": LEAKS["a number"]})
    with pytest.raises(SuspectedLeak, match="'leak'"):
        refuse_leaks(make_table(both, CHURNED), FOLD, ("known",))


def test_where_a_left_out_column_is_missing_is_looked_at() -> None:
    """A date of cancellation is no feature, but it should not go by without a word."""
    table = make_table(NOISE.to_frame("noise"), CHURNED, left_out_missing={"cancelled_on": ~CHURNED})
    with pytest.raises(SuspectedLeak, match="'cancelled_on' by being missing or not"):
        refuse_leaks(table, FOLD, ())


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_an_honest_column_passes(share: float) -> None:
    """A strong feature is no leak."""
    refuse_leaks(make_table(pd.DataFrame({"noise": NOISE, "strong": _agreeing(share)}), CHURNED), FOLD, ())


def test_a_number_that_is_hardly_ever_there_is_no_leak() -> None:
    """On fewer than one row in a hundred, churners only, it decides nothing."""
    rare = NOISE.where(CHURNED & (np.arange(ROWS) < 30))
    refuse_leaks(make_table(pd.DataFrame({"noise": NOISE, "rare": rare}), CHURNED), FOLD, ())
