"""Tuning keeps the default unless another setting is clearly better, and the time it is given."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from learnable_tables import draw_customers, make_table
from sklearn.base import BaseEstimator

from churn_mlops.config.settings import Settings
from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.calibration import losses
from churn_mlops.models.ebm import AdditiveBoosting
from churn_mlops.models.folds import deal_bags
from churn_mlops.training import tuning
from churn_mlops.training.tuning import Tuned, tune

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Family
    from churn_mlops.data.table import CustomerTable

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(0, 1.5, 800).astype(np.float32).astype(np.float64)
LEFT = RANDOM.random(800) < 1 / (1 + np.exp(-TRUTH))
TABLE = make_table(pd.DataFrame({"log_odds": TRUTH}), LEFT)


class Leaning(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A family that has the log-odds already, and takes them times its strength."""

    fitted_on: ClassVar[list[tuple[int, int]]] = []
    """Rows and bags of every fit."""

    def __init__(self, strength: float, bags: int = 8) -> None:
        self.strength = strength
        self.bags = bags

    def fit(self, matrix: Floats, churned: Bools) -> Leaning:
        """Note what it is asked to do."""
        self.fitted_on.append((len(matrix), self.bags))
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give the only feature, stretched."""
        return self.strength * matrix[:, 0]


def _build(family: Family, table: CustomerTable, settings: Settings, choice: dict[str, Any]) -> Leaning:
    return Leaning(**choice)


@pytest.fixture
def try_strengths(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tune the hand-made family among some strengths, the first of them the default."""

    def run(*strengths: float, seconds: float = 60, heard: list[str] | None = None) -> Tuned:
        Leaning.fitted_on.clear()
        monkeypatch.setattr(tuning, "_build", _build)
        monkeypatch.setitem(tuning._GRIDS, "ebm", tuple({"strength": strength} for strength in strengths))
        told = heard if heard is not None else []
        return tune("ebm", TABLE, Settings(), time.monotonic() + seconds, told.append)

    return run


def _gain(default: float, other: float) -> tuple[float, float]:
    """By how much another strength beats the default on the rows that tuning judges by, and its standard error."""
    judged = deal_bags(TRUTH[:, np.newaxis], LEFT, 4, 0) < 2
    gain = losses(default * TRUTH, LEFT)[judged] - losses(other * TRUTH, LEFT)[judged]
    return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def test_a_setting_that_is_clearly_better_takes_the_defaults_place(try_strengths: Any) -> None:
    """It is better by more than the standard error of the difference."""
    gain, error = _gain(0.2, 1.0)
    assert gain > error
    assert try_strengths(0.2, 1.0).estimator.strength == 1.0


def test_a_setting_that_is_only_luckier_does_not(try_strengths: Any) -> None:
    """It is better, but by less than the standard error of the difference."""
    luckier = next(strength for strength in (0.98, 1.02) if _gain(1.0, strength)[0] > 0)
    gain, error = _gain(1.0, luckier)
    assert 0 < gain < error
    assert try_strengths(1.0, luckier).estimator.strength == 1.0


def test_of_those_that_are_clearly_better_the_best_is_taken(try_strengths: Any) -> None:
    """Wherever it stands in the list."""
    assert try_strengths(0.0, 0.4, 1.0, 0.5).estimator.strength == 1.0


def test_what_is_worse_is_not_taken(try_strengths: Any) -> None:
    """Also where it stands last."""
    assert try_strengths(1.0, 0.0, -1.0).estimator.strength == 1.0


def test_after_the_deadline_no_further_setting_is_tried(try_strengths: Any) -> None:
    """The default is what is left, though another one would be far better, and nobody is told of a trial."""
    heard: list[str] = []
    tuned = try_strengths(0.0, 1.0, seconds=-1, heard=heard)
    assert (tuned.estimator.strength, tuned.settings["settings tried"], heard) == (0.0, "1 of 2", [])


def test_what_was_tried_is_told(try_strengths: Any) -> None:
    """Each further setting is announced in words; the choice and how many were tried are kept."""
    heard: list[str] = []
    tuned = try_strengths(0.2, 1.0, 0.5, heard=heard)
    assert heard == ["strength 1", "strength 0.5"]
    assert tuned.settings == {"strength": 1.0, "settings tried": "3 of 3"}


def test_one_setting_alone_is_taken_without_a_trial(try_strengths: Any) -> None:
    """There is nothing to compare it with."""
    assert try_strengths(0.7).settings == {"strength": 0.7}
    assert Leaning.fitted_on == []


def test_trials_average_fewer_models_than_the_choice(try_strengths: Any) -> None:
    """Three are enough to rank settings; what is chosen keeps its own number, and is not fitted."""
    tuned = try_strengths(0.2, 1.0)
    assert {bags for _, bags in Leaning.fitted_on} == {3}
    assert tuned.estimator.bags == 8


def test_a_trial_is_judged_on_rows_it_was_not_fitted_on(try_strengths: Any) -> None:
    """Each fit sees three quarters of the rows."""
    try_strengths(0.2, 1.0)
    assert [rows for rows, _ in Leaning.fitted_on] == [600] * 4


def test_a_large_table_is_tuned_on_a_part(try_strengths: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows than enough to rank settings are drawn."""
    monkeypatch.setattr(tuning, "TUNING_ROWS", 400)
    assert try_strengths(0.2, 1.0).estimator.strength == 1.0
    assert {rows for rows, _ in Leaning.fitted_on} == {300}


@pytest.mark.parametrize(("family", "built"), [("ebm", AdditiveBoosting), ("boosted", BoostedTrees)])
def test_the_seed_of_the_configuration_reaches_the_family(family: Family, built: type) -> None:
    """The default of each family is built with it."""
    settings = Settings()
    seeded = settings.model_copy(update={"training": settings.training.model_copy(update={"seed": 5})})
    estimator = tune(family, TABLE, seeded, time.monotonic() - 1, lambda told: None).estimator
    assert (type(estimator), estimator.get_params()["seed"]) == (built, 5)


def test_a_weaker_penalty_is_found_where_it_helps() -> None:
    """On customers whose tenure says much the logistic family is tuned in real fits, all of them tried."""
    customers = draw_customers(600)
    table = make_table(customers[["tenure", "plan", "charges"]], customers["churned"].to_numpy())
    tuned = tune("logistic", table, Settings(), time.monotonic() + 60, lambda told: None)
    assert tuned.settings["settings tried"] == "3 of 3"
    assert pytest.approx(1 / float(tuned.settings["penalty"])) == tuned.estimator[-1].C


class HoldingOut(Leaning):
    """A family that holds rows out by itself, and remembers whose rows it was given."""

    told: ClassVar[list[tuple[Floats, pd.Series | None]]] = []
    """Customers of every fit, told by the only feature and by the groups."""

    def fit(self, matrix: Floats, churned: Bools, groups: pd.Series | None = None) -> HoldingOut:
        """Remember it."""
        self.told.append((matrix[:, 0] // 2, groups))
        return self


def test_a_setting_is_judged_on_other_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fit sees any row of a customer whom it is judged on, and each is told whose rows it sees."""
    HoldingOut.told.clear()
    monkeypatch.setattr(tuning, "_build", lambda family, table, settings, choice: HoldingOut(**choice))
    monkeypatch.setitem(tuning._GRIDS, "ebm", ({"strength": 1.0}, {"strength": 2.0}))
    customer = np.arange(800) // 2
    table = make_table(pd.DataFrame({"row": np.arange(800.0)}), customer % 3 == 0)
    tune("ebm", replace(table, customer_ids=pd.Series(customer)), Settings(), time.monotonic() + 60, lambda told: None)
    assert len(HoldingOut.told) == 4
    for seen, groups in HoldingOut.told:
        assert groups is not None
        assert (groups.to_numpy() == seen).all()
        assert set(np.unique(seen, return_counts=True)[1]) == {2}
