"""The manifest of a version: what it is, what it was made from, how good it is, and the hashes of its files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from churn_mlops.models.signature import Signature

if TYPE_CHECKING:
    from datetime import datetime

FORMAT_VERSION: Final = 1
"""Raised with any change that an older reader would misread; a reader refuses formats it does not know."""

MANIFEST, GRAPH, ESTIMATOR = "manifest.json", "model.onnx", "model.joblib"


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


class Evaluation(_Part):
    """How good the model is on rows it was not fitted on, beside what it must beat."""

    method: str
    metrics: dict[str, Estimate]
    no_skill: dict[str, float]
    best_rule: BestRule


class Explanation(_Part):
    """How contributions are to be read: additive ones sum, with the intercept, to the log-odds before calibration."""

    kind: Literal["additive"]
    intercept: float


class Decision(_Part):
    """From a probability to `churn_predicted` and a risk band."""

    threshold: float
    medium_risk: float
    high_risk: float

    def band(self, probability: float) -> Literal["low", "medium", "high"]:
        """Name the risk band of a probability."""
        if probability >= self.high_risk:
            return "high"
        return "medium" if probability >= self.medium_risk else "low"


class DataSummary(_Part):
    """The table that the model was fitted on."""

    name: str
    rows_read: int
    rows_used: int
    rows_rejected: int
    rows_repeated: int
    churn_rate: float
    fingerprint: str
    left_out: dict[str, str]
    notes: dict[str, str]


class ParityFigures(_Part):
    """Largest difference between the graph and the estimator, in probability or log-odds."""

    rows: float
    edge_rows: float


class Manifest(_Part):
    """Everything about a version but the model itself.

    `version` is the UTC second of its making and eight digits of the sha256 of all the rest, so a name stands for
    exactly one content. `files` holds the sha256 of every other file that was written.
    """

    format_version: Literal[1] = FORMAT_VERSION
    version: Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")]
    created_at: AwareDatetime
    sample: bool
    model: str
    signature: Signature
    explanation: Explanation
    decision: Decision
    evaluation: Evaluation
    data: DataSummary
    parity: ParityFigures
    libraries: dict[str, str]
    files: dict[str, str]


def name_version(created_at: datetime, content: dict[str, Any]) -> str:
    """Name the version with this manifest content (JSON types, without the version itself)."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    return f"{created_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(canonical).hexdigest()[:8]}"


def seal(draft: Manifest) -> Manifest:
    """Give a manifest the version name that its content has."""
    content = draft.model_dump(mode="json", exclude={"version"})
    return draft.model_copy(update={"version": name_version(draft.created_at, content)})
