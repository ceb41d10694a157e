"""The baseline: logistic regression on encoded customers, in a scikit-learn pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from churn_mlops.config.settings import Kind


def build_logistic(kinds: dict[str, Kind], penalty: float = 1.0) -> Pipeline:
    """Build the unfitted baseline; it takes encoded customers, float64 [rows, features], and the bool target.

    Numbers are clipped to the range seen in training (a value far outside says little about how far the log-odds
    would go on), a missing one gets the median and an indicator of its own, categories are one-hot. No class weights
    and no resampling: both ruin probabilities.

    Args:
        kinds: the kind of every feature, in order.
        penalty: of the squared coefficients of scaled features; higher is smoother.
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
    return Pipeline([("prepare", prepare), ("classify", LogisticRegression(C=1 / penalty, max_iter=1000))])
