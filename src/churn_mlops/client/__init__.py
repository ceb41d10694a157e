"""A client of the service, which needs httpx and pydantic and nothing else: `ChurnClient` and `AsyncChurnClient`."""

from churn_mlops.client.answers import (
    AppliedDecision,
    BadRow,
    Health,
    InputQuality,
    Model,
    Prediction,
    PredictionFromEvents,
    Ready,
    Reason,
    UsedEvents,
)
from churn_mlops.client.asynchronous import AsyncChurnClient
from churn_mlops.client.errors import (
    ClientError,
    Refused,
    ServiceError,
    ServiceFailed,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from churn_mlops.client.exchange import Customer, CustomerEvents, Value
from churn_mlops.client.retrying import Retry
from churn_mlops.client.synchronous import ChurnClient

__all__ = [
    "AppliedDecision",
    "AsyncChurnClient",
    "BadRow",
    "ChurnClient",
    "ClientError",
    "Customer",
    "CustomerEvents",
    "Health",
    "InputQuality",
    "Model",
    "Prediction",
    "PredictionFromEvents",
    "Ready",
    "Reason",
    "Refused",
    "Retry",
    "ServiceError",
    "ServiceFailed",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "UsedEvents",
    "Value",
]
