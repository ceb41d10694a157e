"""The gradient-boosted candidate: a few LightGBM models, each stopped early on rows held out, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator

from churn_mlops.cpu_quota import available_cpus
from churn_mlops.errors import MissingLibrary
from churn_mlops.models.folds import deal_bags
from churn_mlops.models.trees import Split, Tree

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

_MOST_ROUNDS = 2000
_PATIENCE_ROUNDS = 30


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

    Args:
        num_leaves: leaves of a tree at most.
        l2: ridge penalty on the leaves' values.
        min_leaf_rows: fewest training rows in a leaf.
        learning_rate: shrinkage; a high one keeps the trees, and so the time to score, few.
        bags: models that are averaged; each holds out other rows, equal ones and those of a group together.
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
        import_lightgbm()
        held_out = deal_bags(matrix, churned, self.bags, self.seed, groups)
        # a thread for each bag: LightGBM's own threads wait for each other at every split, which on small tables, or
        # beside other work, takes longer than the splits
        self.boosters_ = Parallel(n_jobs=available_cpus(), prefer="threads")(
            delayed(self._fit_bag)(matrix, churned, held_out == bag, bag) for bag in range(held_out.max() + 1)
        )
        self.held_out_log_odds_ = np.empty(len(matrix))
        for bag, booster in enumerate(self.boosters_):
            rows = held_out == bag
            self.held_out_log_odds_[rows] = booster.predict(matrix[rows], raw_score=True)
        return self

    def decision_function(self, matrix: Floats) -> Floats:
        """Give log-odds, float64 [rows]."""
        log_odds: Floats = np.mean([booster.predict(matrix, raw_score=True) for booster in self.boosters_], axis=0)
        return log_odds

    def trees(self) -> tuple[Tree, ...]:
        """Read the fitted trees; their values add up to the log-odds."""
        dumps = [booster.dump_model() for booster in self.boosters_]
        return tuple(_read(info["tree_structure"], 1 / len(dumps)) for dump in dumps for info in dump["tree_info"])

    def _fit_bag(
        self, matrix: Floats, churned: npt.NDArray[np.bool_], held_out: npt.NDArray[np.bool_], bag: int
    ) -> Any:
        lightgbm = import_lightgbm()
        data = lightgbm.Dataset(matrix[~held_out], churned[~held_out], free_raw_data=True)
        watched = data.create_valid(matrix[held_out], churned[held_out])
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
            "num_threads": 1,
            "verbosity": -1,
        }
        stop = lightgbm.early_stopping(_PATIENCE_ROUNDS, verbose=False)
        booster = lightgbm.train(parameters, data, _MOST_ROUNDS, valid_sets=[watched], callbacks=[stop])
        # only the rounds up to the best are kept, so that a saved model is what was evaluated
        return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _read(node: dict[str, Any], factor: float) -> Tree:
    if "split_feature" not in node:
        return float(node["leaf_value"]) * factor
    threshold = float(node["threshold"])
    # where training saw no missing value, LightGBM takes one for 0
    missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0
    left, right = _read(node["left_child"], factor), _read(node["right_child"], factor)
    return Split(int(node["split_feature"]), threshold, missing_left, left, right)
