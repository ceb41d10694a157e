"""The manifest of a version: what it is, what it was made from, how good it is, and the hashes of its files."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from churn_mlops.models.decision import Campaign
from churn_mlops.models.signature import Signature

if TYPE_CHECKING:
    from datetime import datetime

    import numpy.typing as npt

FORMAT_VERSION: Final = 2
"""Raised with any change that an older reader would misread; a reader refuses formats it does not know."""

MANIFEST, GRAPH, ESTIMATOR = "manifest.json", "model.onnx", "model.joblib"
REPORT, OUT_OF_FOLD = "report.html", "out_of_fold.csv"
EVENT_PROGRAM = "event_program.json"
SERVED: Final = (GRAPH, EVENT_PROGRAM)
"""What the service reads of a version, as far as the version has it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Part):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class BestRule(_Part):
    """The best that a single column does: the model has to be worth more than this."""

    column: str
    metrics: dict[str, Estimate]


class CandidateScore(_Part):
    """What one family reached on the folds that all candidates shared.

    Attributes:
        family: logistic, ebm, boosted or blend.
        log_loss: out of fold, calibrated.
        worse_by: its log loss less the lowest one; 0 for the best.
        standard_error: of `worse_by`, over customers.
        explainable: whether its reasons are exact.
        chosen: whether it is the model of this version.
        settings: what tuning chose, in words.
        fit_seconds: of all its folds together.
    """

    family: str
    log_loss: float
    worse_by: float
    standard_error: float
    explainable: bool
    chosen: bool
    settings: dict[str, float | int | str]
    fit_seconds: float


LeakScheme = Literal["random rows", "grouped duplicates", "unseen customers", "later period"]


class LeakCheck(_Part):
    """The same model under another way of holding customers out: a higher figure than the honest one is a leak.

    Attributes:
        scheme: random rows, grouped duplicates, unseen customers or later period.
        roc_auc: under this scheme; None where the table does not allow it.
        log_loss: likewise.
        note: what was held out, or why it cannot be.
    """

    scheme: LeakScheme
    roc_auc: float | None
    log_loss: float | None
    note: str


class SegmentMetrics(_Part):
    """How the model does on the customers who share a value of one column.

    Attributes:
        column: a feature, or a column that was kept out of the features but not out of the evaluation.
        value: in words; missing values are a segment of their own.
        customers: how many there are.
        base_rate: share who left, with its interval.
        mean_probability: what the model says on average; equals the base rate where it is calibrated.
        selection_rate: share for whom `churn_predicted` is true.
        roc_auc: None where only one outcome occurs, or there are too few customers to say.
        calibration_gap: `mean_probability` less the base rate, with its interval.
    """

    column: str
    value: str
    customers: int
    base_rate: Estimate
    mean_probability: float
    selection_rate: float
    roc_auc: float | None
    calibration_gap: Estimate


class LearningPoint(_Part):
    """How good the model is when fitted on fewer rows.

    Attributes:
        customers: how many rows it was fitted on.
        roc_auc: on the same held-out rows at every point.
        log_loss: likewise.
        standard_error: of the difference in log loss to the point before, over held-out rows; None for the first.
    """

    customers: int
    roc_auc: float
    log_loss: float
    standard_error: float | None = None


class Evaluation(_Part):
    """How good the model is on rows it was not fitted on, beside what it must beat.

    Attributes:
        method: how it was evaluated, in words.
        metrics: with their intervals, by name.
        no_skill: what giving everyone the base rate scores.
        best_rule: the best that a single column does.
        candidates: what the families reached, best first.
        leak_report: the same model, held out in other ways.
        segments: by the values of columns.
        learning_curve: fewest rows first.
        sampled_rows: how many rows all of this was measured on, where the table has more; None where it was all.
    """

    method: str
    metrics: dict[str, Estimate]
    no_skill: dict[str, float]
    best_rule: BestRule
    candidates: tuple[CandidateScore, ...] = ()
    leak_report: tuple[LeakCheck, ...] = ()
    segments: tuple[SegmentMetrics, ...] = ()
    learning_curve: tuple[LearningPoint, ...] = ()
    sampled_rows: int | None = None


class Explanation(_Part):
    """How contributions are to be read; they are in log-odds before calibration.

    Additive ones sum, with the intercept, to the log-odds. Reference ones say by how much the log-odds change when
    that one feature is set to the reference customer's value (the typical value of each feature): they do not sum.
    """

    kind: Literal["additive", "reference"]
    intercept: float
    method: str


class Calibration(_Part):
    """From log-odds z to calibrated log-odds: `b * softplus(z) - a * softplus(-z) + c` (Kull et al. 2017).

    a = b = 1 and c = 0 leaves them as they are; a = b is Platt's sigmoid.
    """

    kind: Literal["none", "sigmoid", "beta"]
    a: float
    b: float
    c: float


class ProfitParameters(_Part):
    """What the profit of contacting a customer is computed from (see `models.decision.Campaign` for the formula).

    Attributes:
        customer_value: what a customer who stays is worth; the mean of the training customers if a column says it.
        value_column: the column that says it; None where all customers are worth the same.
        offer_cost: of contacting one customer, whether or not it helps.
        save_rate: share of would-be churners who stay because they were contacted.
        correction: by what break-even probabilities are multiplied; 1 unless out-of-fold profit clearly spoke against.
    """

    customer_value: float
    value_column: str | None
    offer_cost: float
    save_rate: float
    correction: float

    @property
    def campaign(self) -> Campaign:
        """What computes the profit."""
        return Campaign(self.offer_cost, self.save_rate)


class RuleProfit(_Part):
    """What a rule for whom to contact would have earned over contacting nobody, out of fold.

    Attributes:
        contacted_share: of all customers.
        per_customer: mean over all customers, contacted or not.
        total: `per_customer` times the customers of the table, all of them even where a sample was evaluated.
        chosen_gain: what the chosen rule earns more, per customer; the interval is of the difference itself.
    """

    contacted_share: float
    per_customer: Estimate
    total: Estimate
    chosen_gain: Estimate


class ProfitComparison(_Part):
    """The chosen rule beside three that need no decision; the top decile is by churn probability."""

    chosen: RuleProfit
    nobody: RuleProfit
    everybody: RuleProfit
    top_decile: RuleProfit


class Decision(_Part):
    """From a probability to `churn_predicted` and a risk band.

    Attributes:
        mode: what the threshold follows from.
        threshold: from where `churn_predicted` is true; by profit, at the mean value, above 1 where nothing pays.
        medium_risk: where the middle risk band begins.
        high_risk: where the highest begins.
        capacity: the share or number of customers that were to be selected, in capacity mode.
        parameters: of the profit, in profit mode.
        selected_share: share of the training customers for whom `churn_predicted` is true, out of fold.
        reached_share: share of the training churners among them.
        profit: what that would have earned, in profit mode.
    """

    mode: Literal["threshold", "capacity", "profit"] = "threshold"
    threshold: float
    medium_risk: float
    high_risk: float
    capacity: float | None = None
    parameters: ProfitParameters | None = None
    selected_share: float | None = None
    reached_share: float | None = None
    profit: ProfitComparison | None = None

    @model_validator(mode="after")
    def _profit_has_parameters(self) -> Decision:
        if (self.mode == "profit") != (self.parameters is not None):
            msg = f"decision.parameters belong to the mode 'profit', and the mode is {self.mode!r}"
            raise ValueError(msg)
        return self

    def band(self, probability: float) -> Literal["low", "medium", "high"]:
        """Name the risk band of a probability."""
        if probability >= self.high_risk:
            return "high"
        return "medium" if probability >= self.medium_risk else "low"

    def thresholds(self, customer_value: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Give the threshold of customers of these values, float64 of the same shape; infinite for a value of 0.

        Only by profit does it depend on the value.
        """
        if self.parameters is None:
            return np.full(np.shape(customer_value), self.threshold)
        return np.asarray(self.parameters.correction * self.parameters.campaign.break_even(customer_value))

    def threshold_for(self, customer_value: float | None = None) -> float:
        """Give the threshold of one customer; without a value, of the mean value."""
        return self.threshold if customer_value is None else float(self.thresholds(customer_value))

    def predicts_churn(self, probability: float, customer_value: float | None = None) -> bool:
        """Decide about one customer; without a value, as for one of the mean value."""
        return probability >= self.threshold_for(customer_value)

    def expected_profit(self, probability: float, customer_value: float | None = None) -> float | None:
        """Compute what contacting one customer is expected to earn; None where the decision is not by profit."""
        if self.parameters is None:
            return None
        value = self.parameters.customer_value if customer_value is None else customer_value
        return float(self.parameters.campaign.profit(probability, value))


class DataSummary(_Part):
    """The table that the model was fitted on."""

    name: str
    rows_read: int
    rows_used: int
    rows_rejected: int
    rows_repeated: int
    customers_repeated: int = 0
    churn_rate: float
    fingerprint: str
    left_out: dict[str, str]
    notes: dict[str, str]


class ChurnDefinition(_Part):
    """What leaving meant in training, and who was looked at; as `churn.*` in the configuration.

    Attributes:
        definition: inactivity (no event of the types for so many days) or cancellation.
        event_types: the types that show that a customer is there; all where empty.
        active_days: at risk are customers with such an event in so many days before the snapshot.
        lead_days: days between the snapshot and the first day that counts.
        horizon_days: days that count, for each outcome that was learnt; the first is the one that is served.
    """

    definition: Literal["inactivity", "cancellation"]
    event_types: tuple[str, ...]
    active_days: int
    lead_days: int
    horizon_days: tuple[int, ...]


class EventFeatures(_Part):
    """What a version that was trained on an event log computes of it: whoever scores a log computes the same.

    Together with the definitions of this program it says what each column of the signature is, but for those that were
    left out of it. How features are written stands in the signature.

    Attributes:
        types: event types with features of their own, in order; "other", the last, stands for all that are not named.
            Where there is one type only, its features are those of all events.
        windows_days: days before a snapshot that are counted and summed, ascending.
        has_amount: whether events have amounts.
        attributes: columns of events whose latest value is a feature.
        customer_attributes: columns of `data.customers` that are features.
        expressions: features made of other features, by name, in order.
        churn: what leaving meant.
        earliest: events before this day do not count.
        nonnegative: types whose events do not count where their amount is negative; ["*"] for all.
    """

    types: Annotated[tuple[str, ...], Field(min_length=1)]
    windows_days: Annotated[tuple[int, ...], Field(min_length=1)]
    has_amount: bool
    attributes: tuple[str, ...]
    customer_attributes: tuple[str, ...]
    expressions: dict[str, str]
    churn: ChurnDefinition
    earliest: date
    nonnegative: tuple[str, ...]


class ParityFigures(_Part):
    """Largest difference between the graph and the estimator, in probability or log-odds."""

    rows: float
    edge_rows: float


class Horizon(_Part):
    """A further outcome of a version that was trained on an event log: that a customer leaves within other days.

    It has a graph of its own, which takes what the main one takes. The probability that is given is bounded by those of
    the horizons between (`models.coherence`), which the figures are of, too.

    Attributes:
        days: its length; a `churn.horizon_days` after the first.
        churn_rate: share of the customers of the test snapshots who left within it.
        metrics: on the test snapshots, with their intervals, by name.
        explanation: of its graph's contributions.
        calibration: of its own.
        parity: of its graph and its estimator.
    """

    days: int
    churn_rate: float
    metrics: dict[str, Estimate]
    explanation: Explanation
    calibration: Calibration
    parity: ParityFigures

    @property
    def graph(self) -> str:
        """The name of its file."""
        return f"model_{self.days}d.onnx"


class Manifest(_Part):
    """Everything about a version but the model itself.

    `version` is the UTC second of its making and eight digits of the sha256 of all the rest, so a name stands for
    exactly one content. `files` holds the sha256 of every other file that was written. There are no `event_features`
    where a version was trained on a table, or on a log before they were kept. `horizons` are the outcomes beside the
    main one.
    """

    format_version: Literal[2] = FORMAT_VERSION
    version: Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")]
    created_at: AwareDatetime
    sample: bool
    model: str
    signature: Signature
    explanation: Explanation
    calibration: Calibration
    decision: Decision
    evaluation: Evaluation
    data: DataSummary
    parity: ParityFigures
    event_features: EventFeatures | None = None
    horizons: tuple[Horizon, ...] = ()
    libraries: dict[str, str]
    files: dict[str, str]

    @property
    def served_files(self) -> tuple[str, ...]:
        """The files that the service reads: the graph and, where the version has it, its event program."""
        return tuple(name for name in SERVED if name == GRAPH or name in self.files)

    def of_horizon(self, horizon: Horizon) -> Manifest:
        """Give what the manifest would be if a further horizon were the main one, as far as its graph is concerned."""
        return self.model_copy(update={"explanation": horizon.explanation, "calibration": horizon.calibration})


def name_version(created_at: datetime, content: dict[str, Any]) -> str:
    """Name the version with this manifest content (JSON types, without the version itself)."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    return f"{created_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(canonical).hexdigest()[:8]}"


def seal(draft: Manifest) -> Manifest:
    """Give a manifest the version name that its content has."""
    content = draft.model_dump(mode="json", exclude={"version"})
    return draft.model_copy(update={"version": name_version(draft.created_at, content)})
