"""The gradient-boosted candidate: LightGBM models with values and with lines in their leaves, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator

from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import MissingLibrary
from churn_mlops.models.folds import deal_bags
from churn_mlops.models.scaling import Scaling
from churn_mlops.models.trees import LinearLeaf, Split, Tree, scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

_MOST_ROUNDS = 2000
_PATIENCE_ROUNDS = 30
_THREADS: Final = 1
"""Of every call: LightGBM keeps the last number for the whole process, and linear leaves being fitted in another thread
crash when it changes."""
_MANY_ROWS: Final = 250_000
"""Beyond so many rows half the bags do: each has more trees then, and less to gain from being averaged."""
_FEWEST_FOR_THREADS: Final = 1000
"""Below this many rows starting threads takes longer than predicting."""


def import_lightgbm() -> Any:
    """Import LightGBM.

    Raises:
        MissingLibrary: the machine has no OpenMP runtime; no other package of ours needs one of the system's.
    """
    try:
        import lightgbm
    except OSError as error:
        raise MissingLibrary("LightGBM", error) from error
    return lightgbm


class BoostedTrees(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """LightGBM (Ke et al. 2017) on log loss, averaged over bags that each stop early on rows held out.

    Half of the log-odds is the mean of models with a value in each leaf, as usual, one for each bag. The other half is
    that of models with a linear function of the features that lead to the leaf (Shi, Li and Li 2019), where the risk
    rises steadily and steps would need many trees. These see scaled features, in which a missing value is the median,
    while the first tell missing values apart; they score more slowly, so only every other bag has one.

    Args:
        num_leaves: leaves of a tree at most; half as many, where they are linear.
        l2: ridge penalty on the leaves' values.
        min_leaf_rows: fewest training rows in a leaf.
        learning_rate: shrinkage, doubled for linear leaves; a high one keeps the trees, and so the time to score, few.
        bags: how many times it is fitted, half as many on very many rows; each holds out other rows, equal ones and
            those of a group together.
        seed: seeds bags and the draw of features.
    """

    def __init__(
        self,
        num_leaves: int = 31,
        l2: float = 0.0,
        min_leaf_rows: int = 10,
        learning_rate: float = 0.2,
        bags: int = 8,
        seed: int = 0,
    ) -> None:
        self.num_leaves = num_leaves
        self.l2 = l2
        self.min_leaf_rows = min_leaf_rows
        self.learning_rate = learning_rate
        self.bags = bags
        self.seed = seed

    def fit(self, matrix: Floats, churned: npt.NDArray[np.bool_], groups: pd.Series | None = None) -> Self:
        """Fit on encoded customers, float64 [rows, features], and outcomes, bool [rows].

        Rows of one of the `groups`, [rows], are held out together.

        Attributes set:
            held_out_log_odds_: float64 [rows], each row's by the bag that held it out. They choose between settings,
                but are no evaluation: the bag was stopped where they were best.
        """
        lightgbm = import_lightgbm()
        most = self.bags if len(matrix) <= _MANY_ROWS else (self.bags + 1) // 2
        held_out = deal_bags(matrix, churned, most, self.seed, groups)
        bags = range(int(held_out.max()) + 1)
        self.scaling_ = Scaling.learn(matrix)
        scaled = self.scaling_.apply(matrix)
        # a thread for each model: LightGBM's own threads wait for each other at every split, which on small tables, or
        # beside other work, takes longer than the splits
        boosters = Parallel(n_jobs=available_cpus(), prefer="threads")(
            delayed(self._fit_bag)(lightgbm, features, churned, held_out == bag, bag, extra)
            for features, extra, some in ((matrix, {}, bags), (scaled, self._linear(), bags[::2]))
            for bag in some
        )
        self.boosters_, self.linear_boosters_ = boosters[: len(bags)], boosters[len(bags) :]
        self.held_out_log_odds_ = np.empty(len(matrix))
        for bag in bags:
            rows = held_out == bag
            linear = [] if bag % 2 else self.linear_boosters_[bag // 2 : bag // 2 + 1]
            self.held_out_log_odds_[rows] = _average([self.boosters_[bag]], matrix[rows], linear, scaled[rows])
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give log-odds, float64 [rows]."""
        return _average(self.boosters_, matrix, self.linear_boosters_, self.scaling_.apply(matrix))

    def trees(self) -> tuple[Tree, ...]:
        """Read the fitted trees with values in their leaves; with the linear ones they add up to the log-odds."""
        return _read_all(self.boosters_)

    def linear_trees(self) -> tuple[Tree, ...]:
        """Read the fitted trees with linear leaves, which look at features scaled by `scaling_`."""
        return _read_all(self.linear_boosters_)

    def _linear(self) -> dict[str, Any]:
        """Give the parameters that differ for linear leaves.

        A line says more than a value, so that half the leaves and steps twice as large do; thresholds are drawn at
        random, since lines that jump at the best of them overfit.
        """
        return {
            "linear_tree": True,
            "linear_lambda": 0.1,
            "extra_trees": True,
            "num_leaves": max(2, (self.num_leaves + 1) // 2),
            "learning_rate": 2 * self.learning_rate,
        }

    def _fit_bag(
        self,
        lightgbm: Any,
        matrix: Floats,
        churned: npt.NDArray[np.bool_],
        held_out: npt.NDArray[np.bool_],
        bag: int,
        extra: dict[str, Any],
    ) -> Any:
        parameters = {
            "objective": "binary",
            "num_leaves": self.num_leaves,
            "lambda_l2": self.l2,
            "min_data_in_leaf": self.min_leaf_rows,
            "learning_rate": self.learning_rate,
            "feature_fraction_bynode": 0.7,
            "seed": self.seed + bag,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": _THREADS,
            "verbosity": -1,
        } | extra
        # with the parameters, of which it would else take the default number of threads
        data = lightgbm.Dataset(matrix[~held_out], churned[~held_out], params=parameters, free_raw_data=True)
        watched = data.create_valid(matrix[held_out], churned[held_out])
        stop = lightgbm.early_stopping(_PATIENCE_ROUNDS, verbose=False)
        booster = lightgbm.train(parameters, data, _MOST_ROUNDS, valid_sets=[watched], callbacks=[stop])
        # only the rounds up to the best are kept, so that a saved model is what was evaluated
        return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _average(boosters: Sequence[Any], matrix: Floats, linear_boosters: Sequence[Any], scaled: Floats) -> Floats:
    """Give the mean log-odds of both halves, float64 [rows]; there is always one with values."""
    inputs = [*((booster, matrix) for booster in boosters), *((booster, scaled) for booster in linear_boosters)]
    threads = available_cpus() if len(matrix) >= _FEWEST_FOR_THREADS else 1
    parts = Parallel(n_jobs=threads, prefer="threads")(
        delayed(booster.predict)(rows, raw_score=True, num_threads=_THREADS) for booster, rows in inputs
    )
    halves = [np.mean(half, axis=0) for half in (parts[: len(boosters)], parts[len(boosters) :]) if half]
    log_odds: Floats = np.mean(halves, axis=0)
    return log_odds


def _read_all(boosters: Sequence[Any]) -> tuple[Tree, ...]:
    """Read the trees of one half, which has half the weight."""
    factor = 0.5 / len(boosters)
    structures = (info["tree_structure"] for booster in boosters for info in booster.dump_model()["tree_info"])
    return tuple(scale(_read(structure), factor) for structure in structures)


def _read(node: dict[str, Any]) -> Tree:
    if "leaf_const" in node:
        slopes = zip(node["leaf_features"], node["leaf_coeff"], strict=True)
        return LinearLeaf(float(node["leaf_const"]), tuple((int(feature), float(slope)) for feature, slope in slopes))
    if "split_feature" not in node:
        return float(node["leaf_value"])
    threshold = float(node["threshold"])
    # where training saw no missing value, LightGBM takes one for 0
    missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0
    left, right = _read(node["left_child"]), _read(node["right_child"])
    return Split(int(node["split_feature"]), threshold, missing_left, left, right)
