"""The explainable candidate: interpret's Explainable Boosting Machine, read as one lookup table per term."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier
from interpret.utils import purify
from joblib import parallel_config
from sklearn.base import BaseEstimator

from churn_mlops.cpu_quota import available_cpus
from churn_mlops.models.folds import deal_bags
from churn_mlops.models.trees import Axis, Tree, build_lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LookupTable:
    """What one feature, or a pair, adds to the log-odds, by bin.

    Attributes:
        axes: one or two features with their cuts.
        scores: float64 [bins + 1] or [bins + 1, bins + 1], in log-odds; place 0 is the missing value.
        weights: of the same shape, training rows.
    """

    axes: tuple[Axis, ...]
    scores: Floats
    weights: Floats

    def look_up(self, matrix: Floats) -> Floats:
        """Give each customer's score, float64 [rows], for encoded customers, float64 [rows, features]."""
        return self.scores[tuple(axis.index(matrix[:, axis.feature]) for axis in self.axes)]

    def to_tree(self) -> Tree:
        """Write the table as a tree; that of a pair has a tree of the second feature in each leaf of the first."""
        first, *second = self.axes
        if not second:
            return build_lookup(first, self.scores.tolist())
        return build_lookup(first, [build_lookup(second[0], row) for row in self.scores.tolist()])


class AdditiveBoosting(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Boosted one- and two-feature terms (Lou et al. 2013), averaged over bags that each stop early on rows held out.

    Args:
        interactions: how many pairs of features, the strongest ones, get a term of their own.
        bags: models that are averaged; each holds out other rows, equal ones and those of a group together.
        learning_rate: of the boosting.
        smoothing_rounds: rounds with random splits before the greedy ones; more make smoother curves.
        max_bins: bins of a feature at most.
        max_pair_bins: bins of each feature of a pair at most.
        l2: ridge penalty on each step: keeps what few customers tell, such as those with a missing value, in bounds.
        seed: seeds bags and splits.
    """

    def __init__(
        self,
        interactions: int = 20,
        bags: int = 6,
        learning_rate: float = 0.2,
        smoothing_rounds: int = 50,
        max_bins: int = 128,
        max_pair_bins: int = 32,
        l2: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.interactions = interactions
        self.bags = bags
        self.learning_rate = learning_rate
        self.smoothing_rounds = smoothing_rounds
        self.max_bins = max_bins
        self.max_pair_bins = max_pair_bins
        self.l2 = l2
        self.seed = seed

    def fit(self, matrix: Floats, churned: npt.NDArray[np.bool_], groups: pd.Series | None = None) -> Self:
        """Fit on encoded customers, float64 [rows, features], and outcomes, bool [rows].

        Rows of one of the `groups`, [rows], are held out together.
        """
        held_out = deal_bags(matrix, churned, self.bags, self.seed, groups)
        bags = int(held_out.max()) + 1
        self.model_ = ExplainableBoostingClassifier(
            feature_types=["continuous"] * matrix.shape[1],
            interactions=min(self.interactions, matrix.shape[1] * (matrix.shape[1] - 1) // 2),
            outer_bags=bags,
            learning_rate=self.learning_rate,
            smoothing_rounds=self.smoothing_rounds,
            interaction_smoothing_rounds=self.smoothing_rounds,
            # every term in turn, not the one with most to gain: on every table tried the better model
            greedy_ratio=0.0,
            cyclic_progress=True,
            early_stopping_rounds=50,
            max_bins=self.max_bins,
            max_interaction_bins=self.max_pair_bins,
            reg_lambda=self.l2,
            n_jobs=available_cpus(),
            random_state=self.seed,
        )
        uses = np.where(held_out[:, np.newaxis] == np.arange(bags), -1, 1).astype(np.int8)
        # threads: its native code lets go of the lock, and processes would have to be given copies of the rows
        with parallel_config(backend="threading"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Missing values detected")  # about its plots, which are not used
            warnings.filterwarnings("ignore", "All-NaN slice encountered")  # a feature that was never present
            self.model_.fit(matrix, churned, bags=uses)
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give log-odds, float64 [rows]."""
        log_odds: Floats = self.model_.decision_function(matrix)
        return log_odds

    def tables(self) -> tuple[LookupTable, ...]:
        """Read the fitted terms; with the intercept they add up to the log-odds."""
        return tuple(self._table(place) for place in range(len(self.model_.term_features_)))

    @property
    def intercept(self) -> float:
        """The log-odds that the terms are added to."""
        return float(self.model_.intercept_[0])

    def _table(self, place: int) -> LookupTable:
        positions = self.model_.term_features_[place]
        axes = tuple(Axis(feature, self._cuts(feature, len(positions))) for feature in positions)
        # interpret keeps a last bin for texts that are no numbers, of which there are none here
        numbers = tuple(slice(0, -1) for _ in axes)
        scores, weights = self.model_.term_scores_[place][numbers], self.model_.bin_weights_[place][numbers]
        return LookupTable(axes, np.ascontiguousarray(scores, np.float64), np.ascontiguousarray(weights, np.float64))

    def _cuts(self, feature: int, features_in_term: int) -> Floats:
        levels: list[Any] = self.model_.bins_[feature]
        return np.asarray(levels[min(len(levels), features_in_term) - 1], dtype=np.float64)


def share_out(table: LookupTable) -> tuple[float, LookupTable, tuple[LookupTable, LookupTable]]:
    """Share a pair's term out between its two features.

    The term is purified first (Lengerich et al. 2020): what depends on one of the two features alone is that
    feature's. What is left, the pure interaction, averages 0 along each of them, and each gets half of it.

    Returns:
        The term's mean, the pure interaction, and what each feature does alone, as tables of it.
    """
    interaction, alone, mean = _purify(table)
    first, second = (
        LookupTable((axis,), alone[place], table.weights.sum(axis=1 - place)) for place, axis in enumerate(table.axes)
    )
    return mean, interaction, (first, second)


def add_up(tables: Sequence[LookupTable]) -> LookupTable:
    """Add tables of the same feature, whose cuts may differ, up to one with the cuts of all, and without weights."""
    feature = tables[0].axes[0].feature
    cuts = np.unique(np.concatenate([table.axes[0].cuts for table in tables]))
    matrix = np.full((len(cuts) + 2, feature + 1), np.nan)
    matrix[1:, feature] = -np.inf, *cuts  # the least of each bin, after the missing value
    scores = np.sum([table.look_up(matrix) for table in tables], axis=0)
    return LookupTable((Axis(feature, cuts),), scores, np.zeros(len(scores)))


def find_interaction(table: LookupTable) -> LookupTable:
    """Give what the two features of a pair's term do together, beyond what each of them does alone."""
    return _purify(table)[0]


def _purify(table: LookupTable) -> tuple[LookupTable, dict[int, Floats], float]:
    pure, alone, mean = purify(table.scores, table.weights, is_randomized=False)
    of_axis = {dimensions[0]: scores for dimensions, scores in alone}
    return LookupTable(table.axes, pure, table.weights), of_axis, float(np.asarray(mean).sum())
