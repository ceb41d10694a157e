"""The estimator of every version: encoder, family and calibration as one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from customer_frames import MIXED, draw_churn, make_frame
from family_matrices import quick_boosted, quick_ebm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from churn_mlops.models.blend import Blend
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.logistic import build_logistic

if TYPE_CHECKING:
    from collections.abc import Callable

BENT = Calibration("beta", 0.8, 1.3, -0.2)
FRAME = make_frame(MIXED, rows=300)
CHURNED = draw_churn(FRAME)
FAMILIES: dict[str, Callable[[], Any]] = {
    "logistic": lambda: build_logistic(MIXED),
    "ebm": quick_ebm,
    "boosted": quick_boosted,
    "blend": lambda: Blend({"boosted": quick_boosted(), "ebm": quick_ebm()}, {"boosted": 0.4, "ebm": 0.6}),
}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> ChurnModel:
    """A fitted model of every family."""
    return ChurnModel(MIXED, 5, FAMILIES[request.param](), BENT).fit(FRAME, CHURNED)


def test_a_saved_model_is_the_same(model: ChurnModel) -> None:
    """Written by joblib and read again it gives the same probabilities to the last bit."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    np.testing.assert_array_equal(joblib.load(buffer).predict_proba(FRAME), model.predict_proba(FRAME))


def test_a_clone_is_unfitted_and_fits_alike(model: ChurnModel) -> None:
    """scikit-learn's clone keeps every setting and nothing learnt."""
    copy = clone(model)
    with pytest.raises(NotFittedError):
        copy.predict_proba(FRAME)
    np.testing.assert_array_equal(copy.fit(FRAME, CHURNED).predict_proba(FRAME), model.predict_proba(FRAME))


def test_probabilities_are_the_calibrated_log_odds(model: ChurnModel) -> None:
    """Both outcomes sum to 1, and the second is the sigmoid of what calibration makes of the family's log-odds."""
    stayed, left = model.predict_proba(FRAME).T
    np.testing.assert_allclose(stayed + left, 1, atol=1e-12)
    np.testing.assert_allclose(np.log(left / stayed), BENT.apply(model.decision_function(FRAME)), atol=1e-9)


def test_a_prediction_is_what_is_more_likely(model: ChurnModel) -> None:
    """From one half on it is churn."""
    np.testing.assert_array_equal(model.predict(FRAME), model.predict_proba(FRAME)[:, 1] >= 0.5)


def test_fitting_leaves_the_family_unfitted() -> None:
    """The family that was given is a recipe; what is learnt belongs to the model."""
    family = quick_boosted()
    ChurnModel(MIXED, 5, family).fit(FRAME, CHURNED)
    assert not hasattr(family, "boosters_")


def test_an_unfitted_model_has_no_signature() -> None:
    """It is learnt, not given."""
    with pytest.raises(NotFittedError):
        _ = ChurnModel(MIXED, 5, quick_boosted()).signature


def test_a_second_fit_forgets_the_first() -> None:
    """Fitted on other customers, a model is as if it had never seen the first ones."""
    other = make_frame(MIXED, rows=200, seed=7)
    refitted = ChurnModel(MIXED, 5, quick_boosted()).fit(FRAME, CHURNED).fit(other, draw_churn(other))
    fresh = ChurnModel(MIXED, 5, quick_boosted()).fit(other, draw_churn(other))
    assert refitted.signature == fresh.signature
    np.testing.assert_array_equal(refitted.predict_proba(FRAME), fresh.predict_proba(FRAME))


@pytest.mark.parametrize("family", ["ebm", "boosted", "blend"])
def test_customers_who_can_be_recognised_are_not_learnt(family: str) -> None:
    """Where rows tell who the customer is and nothing else, rows of one customer are held out together: it stops."""
    random = np.random.default_rng(0)
    customer = np.repeat(np.arange(60), 8)
    frame = pd.DataFrame({"fingerprint": random.normal(size=60)[customer] + random.normal(0, 1e-6, 480)})
    churned = (random.random(60) < 0.5)[customer]
    model = ChurnModel({"fingerprint": "numeric"}, 5, FAMILIES[family]())
    learnt = clone(model).fit(frame, churned).decision_function(frame).std()
    assert model.fit(frame, churned, pd.Series(customer)).decision_function(frame).std() < learnt / 2
