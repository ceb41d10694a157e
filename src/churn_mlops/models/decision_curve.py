"""The curve behind a decision: what contacting more and more customers earns, or reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.models.decision import Campaign

    Floats = npt.NDArray[np.float64]

_POINTS: Final = 201


@dataclass(frozen=True)
class DecisionCurve:
    """Points to draw, from nobody contacted to everybody.

    Attributes:
        quantity: what `height` is; profit is a mean over all customers, contacted or not.
        contacted_share: float64 [points], ascending from 0 to 1.
        height: float64 [points].
        chosen_share: share contacted by the decision.
        chosen_height: what the decision earns or reaches.
    """

    quantity: Literal["profit per customer", "share of churners reached"]
    contacted_share: Floats
    height: Floats
    chosen_share: float
    chosen_height: float


def draw_profit(
    campaign: Campaign,
    churned: npt.ArrayLike,
    probability: npt.ArrayLike,
    value: npt.ArrayLike,
    contacted: npt.NDArray[np.bool_],
) -> DecisionCurve:
    """Draw profit per customer against contacted share, the customers ranked by expected profit.

    Args:
        campaign: costs and save rate.
        churned: bool [rows], whether the customer left.
        probability: float [rows], predicted out of fold.
        value: float [rows] or one number, what a customer who stays is worth.
        contacted: bool [rows], by the decision.
    """
    share, height = _accumulate(campaign.profit(probability, value), campaign.profit(churned, value))
    earned = float(campaign.profit(churned, value)[contacted].sum() / len(contacted))
    return DecisionCurve("profit per customer", share, height, float(contacted.mean()), earned)


def draw_reach(churned: npt.ArrayLike, probability: npt.ArrayLike, contacted: npt.NDArray[np.bool_]) -> DecisionCurve:
    """Draw the share of all churners that is reached against contacted share, the customers ranked by probability.

    Args:
        churned: bool [rows], whether the customer left; at least one did.
        probability: float [rows], predicted out of fold.
        contacted: bool [rows], by the decision.
    """
    left = np.asarray(churned, dtype=np.float64)
    share, height = _accumulate(np.asarray(probability, dtype=np.float64), left * len(left) / left.sum())
    reached = float(left[contacted].sum() / left.sum())
    return DecisionCurve("share of churners reached", share, height, float(contacted.mean()), reached)


def _accumulate(score: Floats, amount: Floats) -> tuple[Floats, Floats]:
    """Sum the amounts from the highest score down; customers with equal scores share their places evenly."""
    scores, place = np.unique(-score, return_inverse=True)
    customers = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(scores)))]) / len(score)
    heights = np.concatenate([[0], np.cumsum(np.bincount(place, amount, len(scores)))]) / len(score)
    share = np.linspace(0, 1, _POINTS)
    return share, np.interp(share, customers, heights)
