"""From customers to answers: encoded, scored in one call, decided about and explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import ge, itemgetter
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.inference.encoding import CustomerEncoder, InputQuality, Value
from churn_mlops.inference.reasons import Explainer, Reason
from churn_mlops.inference.records import DecisionRecord, PredictionRecord

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.inference.columns import CustomerColumns
    from churn_mlops.inference.scorer import Scorer, Scores


class Customer(TypedDict):
    """A customer to score.

    Attributes:
        customer_id: as the client sent it; echoed, never looked at.
        features: the values by feature, each of the feature's kind or None; one that is absent is missing.
        customer_value: what the client says that the customer is worth; without it, the model has its own idea.
    """

    customer_id: NotRequired[str | int | None]
    features: Mapping[str, Value]
    customer_value: NotRequired[float | None]


class AppliedDecision(TypedDict):
    """How `churn_predicted` came about.

    Attributes:
        mode: what the model decides by.
        threshold: the probability from which churn is predicted; null where no probability is high enough.
        expected_profit: of contacting this customer, in the unit of its value; null unless the mode is profit.
        customer_value: the value that was used; null unless the mode is profit.
    """

    mode: Literal["threshold", "capacity", "profit"]
    threshold: float | None
    expected_profit: float | None
    customer_value: float | None


class Prediction(TypedDict):
    """A scored customer."""

    customer_id: str | int | None
    churn_probability: Annotated[float, Field(ge=0, le=1)]
    churn_predicted: bool
    decision: AppliedDecision
    risk_band: Literal["low", "medium", "high"]
    reasons_are: Literal["additive", "reference"]
    reasons: list[Reason]
    input_quality: InputQuality
    model_version: str


Encoded = tuple[list[float], InputQuality]
"""A row for the graph, and the quality of the input."""

EncodedColumns = tuple["npt.NDArray[np.float32]", list[InputQuality]]
"""Rows for the graph, float32 [customers, features], and the quality of each customer's input."""

OnScored = Callable[[float, bool, InputQuality], None]
"""Told of each customer that is answered: probability, whether churn is predicted, quality of the input."""


def tell_nobody(probability: float, churns: bool, quality: InputQuality) -> None:
    """Do nothing about an answer."""


class Predictor:
    """Answers for customers by one version.

    Args:
        scorer: the version.
        max_missing_share: a customer with a larger share of missing features is refused.
        on_scored: told of each answer.
    """

    def __init__(self, scorer: Scorer, max_missing_share: float, on_scored: OnScored = tell_nobody) -> None:
        self._scorer = scorer
        self._max_missing_share = max_missing_share
        self._on_scored = on_scored
        manifest = scorer.manifest
        self._names = manifest.signature.names
        self._most_missing = max_missing_share * len(self._names)
        self._decision = decision = manifest.decision
        self._value_column = (decision.parameters and decision.parameters.value_column) or ""
        self._mode, self._kind, self._version = decision.mode, manifest.explanation.kind, manifest.version
        self._encoder = CustomerEncoder(manifest.signature)
        self._explainer = Explainer(manifest.signature)

    def encode(self, features: Mapping[str, Value]) -> Encoded:
        """Encode one customer.

        Raises:
            FeatureSchemaMismatch: too many features are missing.
        """
        encoded = self._encoder.encode(features)
        missing = encoded[1]["missing"]
        if len(missing) > self._most_missing:
            raise FeatureSchemaMismatch.of_missing(missing, len(self._names), self._max_missing_share)
        return encoded

    def encode_computed(self, features: Mapping[str, Value]) -> Encoded:
        """Encode one customer whose features were computed: what is missing then is so by its definition."""
        return self._encoder.encode(features)

    def encode_columns(self, columns: Sequence[Sequence[Value]]) -> EncodedColumns | None:
        """Encode many customers; None if one of them has too many features missing, as `encode` says.

        Args:
            columns: the customers' values of each feature, in the signature's order.
        """
        encoded = self._encoder.encode_columns(columns)
        most = max(map(len, map(itemgetter("missing"), encoded[1])))
        return None if most > self._most_missing else encoded

    def predict(self, customer: Customer, encoded: Encoded, reasons: int) -> Prediction:
        """Answer for one customer.

        Args:
            customer: as it came in.
            encoded: what `encode` made of it.
            reasons: how many; 0 for all.
        """
        return self.answer(customer, encoded, self._scorer.score_row(encoded[0]), reasons)

    def answer(
        self, customer: Customer, encoded: Encoded, scores: tuple[float, list[float]], reasons: int
    ) -> Prediction:
        """Answer for one customer who was scored before; `scores` are those of `Scorer.score_row`."""
        quality, (probability, contributions) = encoded[1], scores
        features, decision = customer["features"], self._decision
        value = self._value(customer.get("customer_value"), features.get(self._value_column))
        threshold = decision.threshold_for(value)
        churns = probability >= threshold
        self._on_scored(probability, churns, quality)
        return {
            "customer_id": customer.get("customer_id"),
            "churn_probability": probability,
            "churn_predicted": churns,
            "decision": {
                "mode": self._mode,
                "threshold": threshold if threshold <= 1 else None,
                "expected_profit": decision.expected_profit(probability, value),
                "customer_value": value,
            },
            "risk_band": decision.band(probability),
            "reasons_are": self._kind,
            "reasons": self._explainer.explain(features, contributions, reasons),
            "input_quality": quality,
            "model_version": self._version,
        }

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score customers, float32 [rows, features], as encoded."""
        return self._scorer.score(matrix)

    def answer_columns(
        self, customers: CustomerColumns, qualities: Sequence[InputQuality], scores: Scores, reasons: int
    ) -> list[PredictionRecord]:
        """Answer for customers who were encoded and scored before.

        Args:
            customers: as they came in.
            qualities: of each, from `encode_columns`.
            scores: of these customers.
            reasons: how many of each; 0 for all.
        """
        probabilities = scores.probability.tolist()
        thresholds, decisions = self._decide_columns(customers, scores)
        churn = list(map(ge, probabilities, thresholds))
        for one in zip(probabilities, churn, qualities, strict=True):
            self._on_scored(*one)
        return list(
            map(
                PredictionRecord,
                customers.customer_ids,
                probabilities,
                churn,
                decisions,
                map(self._decision.band, probabilities),
                repeat(self._kind),
                self._explainer.explain_columns(customers.features, scores.contributions, reasons),
                qualities,
                repeat(self._version),
            )
        )

    def _decide_columns(self, customers: CustomerColumns, scores: Scores) -> tuple[list[float], list[DecisionRecord]]:
        """Give the customers' thresholds, and how their answers came about."""
        parameters = self._decision.parameters
        if parameters is None:
            threshold = self._decision.threshold
            same = DecisionRecord(self._mode, threshold if threshold <= 1 else None, None, None)
            return [threshold] * len(customers), [same] * len(customers)
        column = self._value_column
        of_feature: Sequence[Value] = (
            customers.features[self._names.index(column)] if column in self._names else [None] * len(customers)
        )
        values = list(map(self._value, customers.customer_values, of_feature))
        worth = np.array(values, dtype=np.float64)
        profits = parameters.campaign.profit(scores.probability, worth)
        thresholds = self._decision.thresholds(worth).tolist()
        decisions = [
            DecisionRecord(self._mode, threshold if threshold <= 1 else None, profit, value)
            for threshold, profit, value in zip(thresholds, profits.tolist(), values, strict=True)
        ]
        return thresholds, decisions

    def _value(self, said: float | None, of_feature: Value) -> float | None:
        """Give what a customer is worth: as the client says, else as the feature says, else the mean in training."""
        parameters = self._decision.parameters
        if parameters is None or said is not None:
            return said
        return float(of_feature) if isinstance(of_feature, int | float) else parameters.customer_value
