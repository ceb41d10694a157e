"""The service's answers as the client reads them: what a newer service adds is kept as it came, and breaks nothing."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class AppliedDecision(_Answer):
    """How `churn_predicted` came about.

    Attributes:
        mode: what the model decides by: threshold, capacity or profit.
        threshold: the probability from which churn is predicted; None where no probability is high enough.
        expected_profit: of contacting this customer, in the unit of its value; None unless the mode is profit.
        customer_value: the value that was used; None unless the mode is profit.
    """

    mode: str
    threshold: float | None
    expected_profit: float | None
    customer_value: float | None


class Reason(_Answer):
    """One feature's part in a score.

    Attributes:
        feature: its name.
        value: what the customer has; None where it is missing.
        contribution: in log-odds before calibration; positive raises the risk.
        text: the same in words.
    """

    feature: str
    value: bool | float | str | None
    contribution: float
    text: str


class InputQuality(_Answer):
    """Names of the features that are missing, hold a category never seen, or lie outside the range seen."""

    missing: tuple[str, ...]
    unseen_category: tuple[str, ...]
    out_of_range: tuple[str, ...]


class Prediction(_Answer):
    """A scored customer.

    Attributes:
        customer_id: as it was sent.
        churn_probability: calibrated, 0 to 1.
        churn_predicted: what `decision` makes of it.
        decision: how.
        risk_band: low, medium or high.
        reasons_are: whether the contributions of all features add up (additive) or do not (reference).
        reasons: strongest first.
        input_quality: what was missing, never seen or out of range.
        model_version: the version that scored the customer.
    """

    customer_id: str | int | None
    churn_probability: float
    churn_predicted: bool
    decision: AppliedDecision
    risk_band: str
    reasons_are: str
    reasons: tuple[Reason, ...]
    input_quality: InputQuality
    model_version: str


class UsedEvents(_Answer):
    """What became of the events of a request.

    Attributes:
        received: how many there were.
        used: how many the features were computed from.
        dropped: how many were left out, by reason.
        other_types: types among those used that have no features of their own.
    """

    received: int
    used: int
    dropped: dict[str, int]
    other_types: tuple[str, ...]


class PredictionFromEvents(Prediction):
    """A customer that was scored by its events.

    Attributes:
        snapshot_date: features look back from the midnight, in UTC, with which this day begins.
        events: what became of them.
    """

    snapshot_date: date
    events: UsedEvents


class Predictions(_Answer):
    """The scores of one request for many customers, in their order."""

    predictions: list[Prediction]


class Feature(_Answer):
    """One input of the model; the manifest's further fields are there as well.

    Attributes:
        name: as in the customer table, to the letter.
        kind: numeric, boolean or categorical.
        categories: those known of a categorical feature.
        minimum: smallest value seen, of a numeric feature.
        maximum: largest value seen, of a numeric feature.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Signature(_Answer):
    """The features that the model takes, in order."""

    features: tuple[Feature, ...]


class Estimate(_Answer):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Evaluation(_Answer):
    """How good the model is on customers whom it had not seen."""

    method: str
    metrics: dict[str, Estimate]


class Model(_Answer):
    """The version being served; all else that its manifest holds is there as well.

    Attributes:
        version: its name.
        created_at: UTC.
        sample: whether it is the sample that comes with the product.
        model: logistic, ebm, boosted or blend.
        signature: the features.
        evaluation: the metrics, each with its interval.
    """

    version: str
    created_at: datetime
    sample: bool
    model: str
    signature: Signature
    evaluation: Evaluation


class Health(_Answer):
    """The process is alive; `model_version` is None while no model is loaded."""

    status: str
    model_version: str | None


class Ready(_Answer):
    """A model is loaded and answers."""

    status: str
    model_version: str


class BadRow(_Answer):
    """A customer of a batch who cannot be scored.

    Attributes:
        row: place among all the customers that were given, from 0.
        fields: names of the fields at fault.
        detail: what is wrong with them; None if enough customers before it have said so.
    """

    row: int
    fields: tuple[str, ...] = ()
    detail: str | None = None


class Refusal(_Answer):
    """The body of every answer that is no success."""

    error: str
    detail: str
    fields: tuple[str, ...] = ()
    rows: tuple[BadRow, ...] = ()
