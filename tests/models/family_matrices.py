"""Makes encoded customers for families, and quick settings of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.ebm import AdditiveBoosting
from churn_mlops.models.signature import LARGEST_NUMBER

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


def draw_matrix(rows: int = 600, seed: int = 0) -> tuple[Floats, Bools]:
    """Draw customers of four features, and outcomes.

    The log-odds rise with the first feature (numbers, some missing) and depend on whether the second (codes 0 to 4)
    and third (0 or 1) are both high; the fourth (numbers) says nothing.
    """
    random = np.random.default_rng(seed)
    first = random.normal(0, 2, rows).astype(np.float32).astype(np.float64)
    second, third = random.integers(0, 5, rows), random.integers(0, 2, rows)
    log_odds = first + 2.5 * ((second > 2) & (third > 0)) - 1
    churned = random.random(rows) < 1 / (1 + np.exp(-log_odds))
    first[random.random(rows) < 0.1] = np.nan
    last = random.uniform(0, 9, rows).round(2).astype(np.float32)
    return np.column_stack([first, second, third, last]).astype(np.float64), churned


def strange_rows() -> Floats:
    """Give customers whom training never held: other codes, numbers far outside, and nothing known."""
    return np.array(
        [
            [np.nan, np.nan, np.nan, np.nan],
            [LARGEST_NUMBER, 0.5, 1, -LARGEST_NUMBER],
            [-LARGEST_NUMBER, -0.5, 0, LARGEST_NUMBER],
            [0, 4.5, np.nan, 0],
            [1e-45, 99, -7, -1e-45],
        ]
    )


def quick_ebm(interactions: int = 2, seed: int = 0, bags: int = 2) -> AdditiveBoosting:
    """Give an explainable family that is fitted in a tenth of a second."""
    return AdditiveBoosting(interactions, bags, smoothing_rounds=20, max_bins=16, max_pair_bins=8, seed=seed)


def quick_boosted(seed: int = 0, bags: int = 3) -> BoostedTrees:
    """Give a boosted family that is fitted in a tenth of a second."""
    return BoostedTrees(num_leaves=7, bags=bags, seed=seed)


def held_out_by_bag(family: BoostedTrees, matrix: Floats, bag_of_row: npt.NDArray[np.int_]) -> Floats:
    """Score each row with the models of its bag alone: the one with values, and in every other bag the linear one."""
    scaled = family.scaling_.apply(matrix)
    by_bag = np.array([booster.predict(matrix, raw_score=True) for booster in family.boosters_])
    for place, booster in enumerate(family.linear_boosters_):
        by_bag[2 * place] = (by_bag[2 * place] + booster.predict(scaled, raw_score=True)) / 2
    scores: Floats = by_bag[bag_of_row, np.arange(len(matrix))]
    return scores
