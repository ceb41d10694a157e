"""The estimator of every version: encode, score, calibrate, whatever the family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from churn_mlops.models.calibration import Calibration
from churn_mlops.models.folds import fit_clone
from churn_mlops.models.frame_encoder import FrameEncoder

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.config.settings import Kind
    from churn_mlops.models.signature import Signature

    Floats = npt.NDArray[np.float64]


class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Churn probabilities for a frame of customers.

    Args:
        kinds: the kind of every feature, in order.
        rare_category_rows: categories on fewer rows than this get no code of their own.
        family: an unfitted model of log-odds on encoded customers, with `fit` and `decision_function`.
        calibration: what its log-odds go through; fitted elsewhere, on rows that the family never saw.
    """

    def __init__(
        self,
        kinds: dict[str, Kind],
        rare_category_rows: int,
        family: Any,
        calibration: Calibration = Calibration(),  # noqa: B008 - frozen
    ) -> None:
        self.kinds = kinds
        self.rare_category_rows = rare_category_rows
        self.family = family
        self.calibration = calibration

    def fit(
        self,
        frame: pd.DataFrame,
        churned: npt.NDArray[np.bool_],
        groups: pd.Series | None = None,
        coded_by: npt.NDArray[np.bool_] | None = None,
    ) -> Self:
        """Fit encoder and family; there is no state of earlier fits.

        Args:
            frame: the customers.
            churned: bool [rows], their outcomes.
            groups: [rows], such as the customer's id: what a family holds out to stop early, it holds out whole.
            coded_by: bool [rows], another outcome, by which categories are ordered: models of several outcomes then
                take the same rows.
        """
        self.classes_ = np.array([False, True])
        self.encoder_ = FrameEncoder(self.kinds, self.rare_category_rows).fit(
            frame, churned if coded_by is None else coded_by
        )
        self.family_ = fit_clone(self.family, self.encoder_.transform(frame), churned, groups)
        return self

    @property
    def signature(self) -> Signature:
        """The features, as learnt."""
        check_is_fitted(self)
        signature: Signature = self.encoder_.signature_
        return signature

    def decision_function(self, frame: pd.DataFrame) -> Floats:
        """Give log-odds before calibration, float64 [rows]."""
        check_is_fitted(self)
        log_odds: Floats = self.family_.decision_function(self.encoder_.transform(frame))
        return log_odds

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Give the probabilities of staying and of leaving, float64 [rows, 2]."""
        left = 1 / (1 + np.exp(-self.calibration.apply(self.decision_function(frame))))
        return np.column_stack([1 - left, left])

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Say who is more likely to leave than to stay, bool [rows]; decisions take the manifest's threshold."""
        return np.asarray(self.predict_proba(frame)[:, 1] >= 0.5)
