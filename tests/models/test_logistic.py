"""The baseline: probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from customer_frames import MIXED, draw_churn, fit_baseline, make_frame
from sklearn.base import clone

from churn_mlops.models.calibration import Calibration
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.metrics import ScoreCounts


def test_the_mean_probability_is_the_base_rate() -> None:
    """No class weights and no resampling: a rare churner stays rare."""
    frame = make_frame(MIXED, rows=4000)
    churned = draw_churn(frame) & (np.arange(4000) % 4 == 0)
    model = fit_baseline(MIXED, frame, churned, calibration=Calibration()).model
    probability = model.predict_proba(frame)[:, 1]
    assert churned.mean() < 0.12
    assert probability.mean() == pytest.approx(churned.mean(), abs=0.005)


def test_probabilities_are_calibrated_on_rows_never_seen() -> None:
    """Half the rows are held out, and churn there as often as they are said to."""
    frame = make_frame(MIXED, rows=8000)
    churned = draw_churn(frame)
    first = frame.iloc[:4000].reset_index(drop=True)
    model = fit_baseline(MIXED, first, churned[:4000], calibration=Calibration()).model
    held_out = ScoreCounts.count(churned[4000:], model.predict_proba(frame.iloc[4000:])[:, 1]).metrics()
    assert held_out.calibration_error < 0.035


def test_missing_is_a_value_of_its_own() -> None:
    """Where customers without a value churn more, a missing value scores higher than the median does."""
    frame = make_frame({"tenure": "numeric"}, rows=2000, missing_share=0.3)
    churned = draw_churn(frame) | (frame["tenure"].isna().to_numpy() & (np.arange(2000) % 4 > 0))
    fitted = fit_baseline({"tenure": "numeric"}, frame, churned)
    missing, median = fitted.model.predict_proba(pd.DataFrame({"tenure": [None, 50.0]}, dtype="float64"))[:, 1]
    assert missing > median + 0.2


def test_numbers_beyond_the_range_score_like_its_end() -> None:
    """A number far outside what was seen says no more than the most extreme one that was."""
    frame = make_frame({"tenure": "numeric"})
    fitted = fit_baseline({"tenure": "numeric"}, frame, draw_churn(frame))
    end, beyond = fitted.model.predict_proba(pd.DataFrame({"tenure": [frame["tenure"].max(), 1e300]}))[:, 1]
    assert beyond == pytest.approx(end, abs=1e-9)


def test_equal_seeds_give_equal_models() -> None:
    """The same rows and seed give the same probabilities to the last bit."""
    frame = make_frame(MIXED)
    churned = draw_churn(frame)
    one, other = (fit_baseline(MIXED, frame, churned).model.predict_proba(frame) for _ in range(2))
    assert (one == other).all()


def test_the_estimator_can_be_cloned() -> None:
    """scikit-learn can copy it unfitted, as every fold of the evaluation does."""
    assert clone(build_logistic(MIXED, penalty=4.0)).get_params()["classify__C"] == 0.25
