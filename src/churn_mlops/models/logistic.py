"""The baseline: calibrated logistic regression in a scikit-learn pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from churn_mlops.models.additive import AdditiveModel, read_terms
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.frame_encoder import FrameEncoder

if TYPE_CHECKING:
    import pandas as pd

    from churn_mlops.config.settings import Kind
    from churn_mlops.models.signature import Signature


def build_logistic(kinds: dict[str, Kind], rare_category_rows: int, folds: int, seed: int) -> CalibratedClassifierCV:
    """Build the unfitted baseline; it takes a frame of the features and the bool target.

    Numbers are clipped to the range seen in training (a value far outside says little about how far the log-odds
    would go on), a missing one gets the median and an indicator of its own, categories are one-hot. No class weights
    and no resampling: both ruin probabilities. The calibration is Platt's (1999) sigmoid, fitted on out-of-fold
    log-odds; the model under it is then fitted on all rows.
    """
    kind_of_column = list(kinds.values())
    categorical = [position for position, kind in enumerate(kind_of_column) if kind == "categorical"]
    numeric = [position for position, kind in enumerate(kind_of_column) if kind != "categorical"]
    prepare_numbers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("clip", MinMaxScaler(clip=True)),
            ("scale", StandardScaler()),
        ]
    )
    prepare = ColumnTransformer(
        [
            ("numeric", prepare_numbers, numeric),
            ("categorical", OneHotEncoder(handle_unknown="ignore"), categorical),
        ]
    )
    model = Pipeline(
        [
            ("encode", FrameEncoder(kinds, rare_category_rows)),
            ("prepare", prepare),
            ("classify", LogisticRegression(C=1.0, max_iter=1000)),
        ]
    )
    return CalibratedClassifierCV(model, method="sigmoid", cv=DuplicateGroupedKFold(folds, seed), ensemble=False)


def read_logistic(estimator: CalibratedClassifierCV, frame: pd.DataFrame) -> tuple[Signature, AdditiveModel]:
    """Read the signature and the additive form off a fitted baseline; `frame` holds the rows it was fitted on."""
    calibrated = estimator.calibrated_classifiers_[0]
    encoder = calibrated.estimator[0]
    signature: Signature = encoder.signature_
    terms, intercept = read_terms(calibrated.estimator[1:].decision_function, signature, encoder.transform(frame))
    sigmoid = calibrated.calibrators[0]  # scikit-learn's is 1 / (1 + exp(a * log_odds + b))
    return signature, AdditiveModel(terms, intercept, float(-sigmoid.a_), float(-sigmoid.b_))
