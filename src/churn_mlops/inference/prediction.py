"""From customers to answers: encoded, scored in one call, decided about and explained."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the shape of a Customer
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.inference.encoding import CustomerEncoder, InputQuality, Value
from churn_mlops.inference.reasons import Explainer, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.inference.scorer import Scorer


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


class Predictor:
    """Answers for customers by one version.

    Args:
        scorer: the version.
        max_missing_share: a customer with a larger share of missing features is refused.
    """

    def __init__(self, scorer: Scorer, max_missing_share: float) -> None:
        self._scorer = scorer
        self._max_missing_share = max_missing_share
        self._features = len(scorer.manifest.signature.features)
        self._encoder = CustomerEncoder(scorer.manifest.signature)
        self._explainer = Explainer(scorer.manifest.signature)

    def encode(self, features: Mapping[str, Value]) -> Encoded:
        """Encode one customer.

        Raises:
            FeatureSchemaMismatch: too many features are missing.
        """
        encoded = self._encoder.encode(features)
        missing = encoded[1]["missing"]
        if len(missing) > self._max_missing_share * self._features:
            raise FeatureSchemaMismatch(
                f"{len(missing)} of {self._features} features are missing ({len(missing) / self._features:.0%}); at "
                f"most {self._max_missing_share:.0%} may be: {', '.join(missing)}.",
                missing,
            )
        return encoded

    def predict(self, customers: Sequence[Customer], encoded: Sequence[Encoded], reasons: int) -> list[Prediction]:
        """Answer for customers, in their order, by one call of the graph.

        Args:
            customers: as they came in.
            encoded: what `encode` made of each.
            reasons: how many of each; 0 for all.
        """
        scores = self._scorer.score(np.array([row for row, _ in encoded], dtype=np.float32))
        explained = self._explainer.explain(
            [customer["features"] for customer in customers], scores.contributions, reasons
        )
        return [
            self._answer(customer, probability, why, quality)
            for customer, probability, why, (_, quality) in zip(
                customers, scores.probability.tolist(), explained, encoded, strict=True
            )
        ]

    def _answer(
        self, customer: Customer, probability: float, reasons: list[Reason], quality: InputQuality
    ) -> Prediction:
        manifest = self._scorer.manifest
        decision = manifest.decision
        value = self._customer_value(customer)
        threshold = decision.threshold_for(value)
        return {
            "customer_id": customer.get("customer_id"),
            "churn_probability": probability,
            "churn_predicted": probability >= threshold,
            "decision": {
                "mode": decision.mode,
                "threshold": threshold if threshold <= 1 else None,
                "expected_profit": decision.expected_profit(probability, value),
                "customer_value": value,
            },
            "risk_band": decision.band(probability),
            "reasons_are": manifest.explanation.kind,
            "reasons": reasons,
            "input_quality": quality,
            "model_version": manifest.version,
        }

    def _customer_value(self, customer: Customer) -> float | None:
        """Give what a customer is worth: as the client says, else as the feature says, else the mean in training."""
        value = customer.get("customer_value")
        parameters = self._scorer.manifest.decision.parameters
        if parameters is None or value is not None:
            return value
        of_feature = customer["features"].get(parameters.value_column or "")
        return float(of_feature) if isinstance(of_feature, int | float) else parameters.customer_value
