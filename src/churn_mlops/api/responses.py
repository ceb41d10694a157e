"""The shapes of the service's answers."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from churn_mlops.inference.encoding import InputQuality
from churn_mlops.inference.reasons import Reason

_LONGEST_SHOWN: Final = 60


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Health(_Answer):
    """The process is alive; `model_version` is null while no model is loaded."""

    status: Literal["ok"] = "ok"
    model_version: str | None


class Ready(_Answer):
    """A model is loaded and answers."""

    status: Literal["ready"] = "ready"
    model_version: str


class AppliedDecision(_Answer):
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


class Prediction(_Answer):
    """A scored customer."""

    customer_id: str | int | None
    churn_probability: float = Field(ge=0, le=1)
    churn_predicted: bool
    decision: AppliedDecision
    risk_band: Literal["low", "medium", "high"]
    reasons_are: Literal["additive", "reference"]
    reasons: list[Reason]
    input_quality: InputQuality
    model_version: str


class ErrorAnswer(_Answer):
    """Every refusal and failure has this body."""

    error: str
    detail: str
    fields: list[str]


def shorten(value: object) -> str:
    """Show what a client sent as it was sent, in JSON, but not at any length."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def describe_errors(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Document error answers in OpenAPI: `describe_errors(s422="…")`."""
    return {int(status[1:]): {"model": ErrorAnswer, "description": text} for status, text in statuses.items()}
