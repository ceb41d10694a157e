"""Whom to contact: the profit of a retention campaign, and the cut that profit or a capacity leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

TOP_DECILE: Final = 0.10
_TOLERATED_ERRORS: Final = 2.0
_ERRORS_FROM_BEST: Final = 1.0


@dataclass(frozen=True)
class Campaign:
    """What contacting a customer costs, and what it saves.

    Contacting a set of customers earns, over contacting nobody,

        sum over the contacted of (save_rate * value * churned - offer_cost)

    This is the campaign profit of Neslin et al. (2006, "Defection detection", Journal of Marketing Research 43(2)),
    which Verbraken, Verbeke and Baesens (2013, "A novel profit maximizing metric for measuring classification
    performance of customer churn prediction models", IEEE Transactions on Knowledge and Data Engineering 25(5)) write
    as `CLV (g (1 - d) - f) pi_0 F_0(t) - CLV (d + f) pi_1 F_1(t)`: g is the save rate, d and f the costs of incentive
    and contact as shares of the value, pi_0 F_0(t) and pi_1 F_1(t) the shares of customers that are contacted
    churners and contacted stayers. It is simpler in three ways: one cost for everyone contacted (d = 0), no fixed cost
    of the campaign, and one given save rate, where the expected maximum profit is the mean over a Beta distribution
    of it. It is richer in one: every customer may have a value of their own. Customers are then ranked by profit, not
    by probability, as Lemmens and Gupta (2020, "Managing churn to maximize profits", Marketing Science 39(5)) show to
    earn more; unlike there, nothing is learnt of how differently customers respond to an offer.

    Attributes:
        offer_cost: of contacting one customer, whether or not it helps, in the unit of the values.
        save_rate: share of would-be churners who stay because they were contacted, above 0 and at most 1.
    """

    offer_cost: float
    save_rate: float

    def profit(self, chance: npt.ArrayLike, value: npt.ArrayLike) -> Floats:
        """Compute the profit of contacting each customer.

        Args:
            chance: float [rows], the churn probability, for what is expected; or bool [rows], whether the customer
                left, for what it would have been.
            value: float [rows] or one number, what a customer who stays is worth.
        """
        worth = np.asarray(chance, dtype=np.float64) * np.asarray(value, dtype=np.float64)
        return self.save_rate * worth - self.offer_cost

    def break_even(self, value: npt.ArrayLike) -> Floats:
        """Compute the probability from which contacting a customer pays: offer_cost / (save_rate * value).

        It is above 1 where it never pays, and infinite for a customer who is worth nothing.
        """
        saved = np.maximum(self.save_rate * np.asarray(value, dtype=np.float64), 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(self.offer_cost == 0, 0.0, self.offer_cost / saved)


def find_correction(
    campaign: Campaign, churned: npt.ArrayLike, probability: npt.ArrayLike, value: npt.ArrayLike
) -> float:
    """Find by what the break-even probability is to be multiplied, from out-of-fold predictions.

    The break-even probability earns most where probabilities are calibrated. The cut that earned most on the customers
    at hand is noise around it, so it is kept (1) unless another cut earned more by over two standard errors of the
    difference. Then it is the cut nearest to break-even, in customers contacted, among those within one standard error
    of the best: a plateau is resolved towards break-even.

    Args:
        campaign: costs and save rate.
        churned: bool [rows], whether the customer left.
        probability: float [rows], predicted by a model that never saw the customer.
        value: float [rows] or one number, what a customer who stays is worth.
    """
    # in the unit of the cost, so that customers of different values have one order, and a cost or value of 0 is no case
    gain = np.broadcast_to(campaign.profit(probability, value) + campaign.offer_cost, np.shape(probability))
    order = np.argsort(-gain, kind="stable")
    ranked, profit = gain[order], campaign.profit(churned, value)[order]
    # equal customers are contacted together
    contacted = np.concatenate([[0], np.flatnonzero(np.append(np.diff(ranked) != 0, True)) + 1])
    earned, squares = (np.concatenate([[0], np.cumsum(profit**power)])[contacted] for power in (1, 2))
    best = int(np.argmax(earned))
    behind = earned[best] - earned
    error = np.sqrt(np.maximum(np.abs(squares[best] - squares) - behind**2 / len(profit), 0))
    at_break_even = np.count_nonzero(gain >= campaign.offer_cost)
    here = int(np.searchsorted(contacted, at_break_even))
    if behind[here] <= _TOLERATED_ERRORS * error[here]:
        return 1.0
    near_best = contacted[behind <= _ERRORS_FROM_BEST * error]
    last = near_best[np.argmin(np.abs(near_best - at_break_even))]
    around = np.concatenate([[2 * ranked[0]], ranked, [0]])[last : last + 2]
    return float(around.mean() / campaign.offer_cost)


def find_capacity_threshold(probability: npt.ArrayLike, capacity: float, customers: int | None = None) -> float:
    """Find the probability from which the customers most at risk fill a capacity.

    Customers with equal probabilities are contacted together or not at all: those at the edge are left out if they
    would exceed the capacity, unless nobody would be left to contact.

    Args:
        probability: float [rows].
        capacity: a share of the customers (below 1), or a number of them.
        customers: how many there are, where these are a random sample: a capacity of 500 among 1,000,000 is one of 50
            among 100,000 of them, rounded down.
    """
    ranked = -np.sort(-np.asarray(probability, dtype=np.float64))
    wanted = count_capacity(capacity, customers or len(ranked))
    if customers:
        wanted = wanted * len(ranked) // customers
    if wanted >= len(ranked):
        return 0.0
    selected = ranked[:wanted][ranked[:wanted] > ranked[wanted]]
    return float(selected[-1] if selected.size else ranked[0])


def count_capacity(capacity: float, customers: int) -> int:
    """Count the customers that a capacity allows: a share is rounded down, but not by the rounding of floats."""
    return int(np.floor(capacity * customers + 1e-9)) if capacity < 1 else int(capacity)


def contact_top_decile(probability: npt.ArrayLike) -> Floats:
    """Say how much of each customer is contacted, 0 to 1, where a tenth of all are, those most at risk.

    Customers who tie at the edge are contacted in part, as if the places left were drawn by lot among them.
    """
    scores, place = np.unique(-np.asarray(probability, dtype=np.float64), return_inverse=True)
    tied = np.bincount(place, minlength=len(scores))
    places = count_capacity(TOP_DECILE, len(place)) - (np.cumsum(tied) - tied)
    return np.asarray(np.clip(places / tied, 0, 1)[place], dtype=np.float64)


class MeanInterval(NamedTuple):
    """A mean with the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_means(figures: Floats, resamples: int, seed: int) -> tuple[MeanInterval, ...]:
    """Compute the mean of each column, with its 95 % bootstrap interval over rows (percentiles; Efron 1979).

    Args:
        figures: float64 [rows, columns]; the columns are resampled together.
        resamples: how many times to draw.
        seed: seeds the draws.
    """
    distinct, counts = np.unique(figures, axis=0, return_counts=True)  # few, unless customers differ in value
    random = np.random.default_rng(seed)
    rows = len(figures)
    drawn = np.array([random.multinomial(rows, counts / rows) @ distinct for _ in range(resamples)]) / rows
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return tuple(MeanInterval(float(m), float(a), float(b)) for m, a, b in zip(figures.mean(0), low, high, strict=True))
