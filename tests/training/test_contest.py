"""The contest: all that a model needs, on the same folds, in the steps that were promised."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from learnable_tables import draw_customers, make_table

from churn_mlops.config.settings import Settings, TrainingSettings
from churn_mlops.errors import MissingLibrary
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.training import contest
from churn_mlops.training.candidates import choose
from churn_mlops.training.contest import Contest, Model, forecast, run_contest
from churn_mlops.training.steps import Step, Steps
from churn_mlops.training.tuning import tune

if TYPE_CHECKING:
    from typing import Any

CUSTOMERS = draw_customers(300)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)
SETTINGS = Settings(training=TrainingSettings(folds=3, budget_seconds=1e-6))
"""No time to tune: the defaults are what is compared."""

MODELS: dict[Model, list[str]] = {
    "logistic": ["logistic"],
    "ebm": ["ebm"],
    "boosted": ["boosted"],
    "blend": ["boosted", "ebm", "blend"],
    "auto": ["logistic", "boosted", "ebm", "blend"],
}


def _run(model: Model) -> tuple[Contest, list[Step]]:
    heard: list[Step] = []
    return run_contest(model, TABLE, FOLD, SETTINGS, Steps(heard.append, forecast(model, SETTINGS, 300))), heard


_run_once = cache(_run)


@pytest.mark.parametrize("model", MODELS)
def test_as_many_steps_are_begun_as_were_counted(model: Model) -> None:
    """Each step is heard of in order, up to the total that was promised."""
    _, heard = _run_once(model)
    assert list(dict.fromkeys(step.number for step in heard)) == list(range(1, len(forecast(model, SETTINGS, 300)) + 1))
    assert {step.total for step in heard} == {len(forecast(model, SETTINGS, 300))}


@pytest.mark.parametrize(("model", "families"), MODELS.items())
def test_a_model_is_compared_with_what_it_needs(model: Model, families: list[str]) -> None:
    """A family alone stands alone; a blend stands beside its members, and auto compares them all."""
    found, _ = _run_once(model)
    assert [candidate.family for candidate in found.candidates] == families


@pytest.mark.parametrize("model", ["logistic", "ebm", "boosted", "blend"])
def test_the_model_that_was_asked_for_is_chosen(model: Model) -> None:
    """Whoever names a family gets it, whatever another one would have reached."""
    assert _run_once(model)[0].chosen.family == model


def test_auto_takes_what_the_rule_takes() -> None:
    """Of all candidates, the one that `choose` chooses."""
    found, _ = _run_once("auto")
    assert found.chosen is choose(found.candidates, TABLE.churned)


def test_a_blend_averages_what_its_members_said() -> None:
    """Nothing is fitted again: each of its log-odds lies between those of its members."""
    boosted, ebm, blended = (candidate.raw_log_odds for candidate in _run_once("blend")[0].candidates)
    assert (blended >= np.minimum(boosted, ebm) - 1e-9).all()
    assert (blended <= np.maximum(boosted, ebm) + 1e-9).all()


def test_without_a_library_auto_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The family that needs it is left out, and with it the blend; whoever watches is told why."""
    monkeypatch.setattr(contest, "tune", _tune_without_lightgbm)
    found, heard = _run("auto")
    assert [candidate.family for candidate in found.candidates] == ["logistic", "ebm"]
    assert [step.name for step in heard if "left out" in step.name]


def test_the_steps_of_a_family_that_is_left_out_are_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next family begins at its own place, and the last step is the total."""
    monkeypatch.setattr(contest, "tune", _tune_without_lightgbm)
    _, heard = _run("auto")
    ebm = [step for step in heard if step.name.startswith("ebm")]
    assert [ebm[0].number, ebm[-1].number, ebm[-1].total] == [9, 12, 12]


@pytest.mark.parametrize("model", ["boosted", "blend"])
def test_without_a_library_what_needs_it_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the family learns what is missing."""
    monkeypatch.setattr(contest, "tune", _tune_without_lightgbm)
    with pytest.raises(MissingLibrary, match="LightGBM"):
        _run(model)


def _tune_without_lightgbm(family: Any, *others: Any) -> Any:
    if family == "boosted":
        raise MissingLibrary("LightGBM", OSError("libgomp.so.1: cannot open shared object file"))
    return tune(family, *others)
