"""The curve is what contacting from the top of the ranking earns or reaches, and the decision lies on it."""

from __future__ import annotations

import numpy as np
import pytest

from churn_mlops.models.decision import Campaign
from churn_mlops.models.decision_curve import draw_profit, draw_reach

OFFER = Campaign(offer_cost=10, save_rate=0.5)
CHURNED = np.array([True, False, True, False])
PROBABILITY = np.array([0.9, 0.6, 0.4, 0.1])


def test_reach_by_hand() -> None:
    """Of two churners the first is reached with a quarter of the customers, the second with three."""
    curve = draw_reach(CHURNED, PROBABILITY, PROBABILITY >= 0.5)
    at = dict(zip(curve.contacted_share.round(3), curve.height, strict=True))
    assert [at[share] for share in (0, 0.125, 0.25, 0.5, 0.75, 1)] == pytest.approx([0, 0.25, 0.5, 0.5, 1, 1])
    assert (curve.chosen_share, curve.chosen_height) == (0.5, 0.5)
    assert curve.quantity == "share of churners reached"


def test_profit_by_hand() -> None:
    """At 100 each: 40, then 30, 70 and 60 in total, over four customers."""
    curve = draw_profit(OFFER, CHURNED, PROBABILITY, 100, PROBABILITY >= 0.2)
    at = dict(zip(curve.contacted_share.round(3), curve.height, strict=True))
    assert [at[share] for share in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0, 10, 7.5, 17.5, 15])
    assert [curve.chosen_share, curve.chosen_height] == pytest.approx([0.75, 17.5])
    assert curve.quantity == "profit per customer"


def test_profit_is_ranked_by_profit() -> None:
    """A customer less at risk but worth ten times as much comes first."""
    value = np.array([10.0, 10, 1000, 10])
    curve = draw_profit(OFFER, CHURNED, PROBABILITY, value, np.array([False, False, True, False]))
    assert float(np.interp(0.25, curve.contacted_share, curve.height)) == pytest.approx((500 - 10) / 4)
    assert curve.chosen_height == pytest.approx((500 - 10) / 4)


def test_customers_who_tie_share_their_places() -> None:
    """With one score for all the curve is a straight line: order within ties means nothing."""
    curve = draw_reach(CHURNED, np.full(4, 0.5), np.full(4, True))
    np.testing.assert_allclose(curve.height, curve.contacted_share)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 1.0])
def test_the_decision_lies_on_the_curve(share: float) -> None:
    """Contacting from some expected profit on is a point of the curve."""
    random = np.random.default_rng(0)
    probability, value = random.random(2000), random.uniform(10, 200, 2000)
    expected = OFFER.profit(probability, value)
    contacted = expected >= np.quantile(expected, 1 - share) if share else np.zeros(2000, dtype=bool)
    curve = draw_profit(OFFER, random.random(2000) < probability, probability, value, contacted)
    assert curve.chosen_height == pytest.approx(
        float(np.interp(curve.chosen_share, curve.contacted_share, curve.height)), abs=0.05
    )
