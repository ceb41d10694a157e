"""The configuration as frozen, typed settings: one class per section of `config/config.yaml`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

Kind = Literal["numeric", "categorical", "boolean"]
Family = Literal["logistic", "ebm", "boosted", "blend"]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name)
        allows = cls.model_fields[name].annotation is bool or name.endswith("_label")
        if isinstance(value, bool) and not allows:
            raise PydanticCustomError("boolean", "it should be no boolean")
        return value


class DataSettings(_Section):
    """Where the customers come from, and what their columns mean."""

    source: Literal["sample", "table"] = "sample"
    path: Path | None = None
    customer_id: str | None = None
    time: str | None = None
    target: str | None = None
    positive_label: str | int | float | bool | None = None
    negative_label: str | int | float | bool | None = None
    drop: tuple[str, ...] = ()
    kinds: dict[str, Kind] = Field(default_factory=dict)
    allow_leaky: tuple[str, ...] = ()
    delimiter: Annotated[str, Field(pattern=r"^[\t -!#-~]$")] = ","
    missing_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
    rare_category_rows: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _table_is_complete(self) -> DataSettings:
        if self.source == "table":
            required = {"path": self.path, "target": self.target, "positive_label": self.positive_label}
            absent = [f"data.{key}" for key, value in required.items() if value is None]
            if absent:
                msg = f"data.source is 'table', which also needs {' and '.join(absent)}"
                raise ValueError(msg)
        return self


class TrainingSettings(_Section):
    """How a model is fitted and evaluated."""

    model: Family | Literal["auto"] = "auto"
    budget_seconds: Annotated[float, Field(gt=0)] = 60
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    bootstrap_resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000


class EvaluationSettings(_Section):
    """What is evaluated on, and what is measured beside the metrics: leaks, segments, whether more rows would help."""

    max_rows: Annotated[int, Field(ge=1000)] = 100_000
    segments: tuple[str, ...] = ()
    learning_curve: bool = True
    leak_report: bool = True


class DecisionSettings(_Section):
    """From a probability to a decision and a band; stored with each version at training time."""

    mode: Literal["threshold", "capacity", "profit"] = "threshold"
    threshold: Probability = 0.5
    capacity: float | None = None
    customer_value: float | str | None = None
    offer_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    save_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    medium_risk: Probability = 0.3
    high_risk: Probability = 0.6

    @field_validator("capacity", mode="after")
    @classmethod
    def _capacity_is_share_or_count(cls, capacity: float | None) -> float | None:
        if capacity is None or 0 < capacity < 1 or (capacity >= 1 and capacity.is_integer()):
            return capacity
        raise PydanticCustomError("capacity", "it should be a share between 0 and 1, or a whole number of customers")

    @field_validator("customer_value", mode="before")
    @classmethod
    def _value_is_number_or_column(cls, value: object) -> object:
        if value is None or isinstance(value, bool):  # which is refused for every key
            return value
        if isinstance(value, str) and value.strip() and not _is_number(value):
            return value
        # environment variables are text, so a text that reads as a number is one
        if isinstance(value, int | float | str) and _is_number(value) and 0 < float(value) < math.inf:
            return float(value)
        raise PydanticCustomError("customer_value", "it should be a number above 0, or the name of a column")

    @model_validator(mode="after")
    def _mode_is_complete(self) -> DecisionSettings:
        required = {"threshold": (), "capacity": ("capacity",), "profit": ("customer_value", "offer_cost", "save_rate")}
        absent = [f"decision.{key}" for key in required[self.mode] if getattr(self, key) is None]
        if absent:
            msg = f"decision.mode is {self.mode!r}, which also needs {' and '.join(absent)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _bands_are_ordered(self) -> DecisionSettings:
        if self.medium_risk > self.high_risk:
            msg = f"decision.medium_risk ({self.medium_risk}) must not be above decision.high_risk ({self.high_risk})"
            raise ValueError(msg)
        return self

    @property
    def value_column(self) -> str | None:
        """The column that holds what each customer is worth, if the decision needs one."""
        return self.customer_value if self.mode == "profit" and isinstance(self.customer_value, str) else None


def _is_number(value: float | str) -> bool:
    try:
        float(value)
    except (ValueError, OverflowError):
        return False
    return True


class PromotionSettings(_Section):
    """What a version must show before it may become champion."""

    min_improvement: Annotated[float, Field(ge=-1, le=1)] = 0.0
    max_calibration_error: Probability = 0.05
    max_latency_microseconds: Annotated[float, Field(gt=0)] = 1000


class ArtifactsSettings(_Section):
    """Where versions, aliases and rejected rows are kept."""

    path: Path = Path("artifacts")


class ServingSettings(_Section):
    """How the HTTP service listens and what it accepts."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    max_missing_share: Probability = 0.5
    reasons: Annotated[int, Field(ge=0)] = 3
    max_batch_rows: Annotated[int, Field(ge=1)] = 10_000
    max_body_bytes: Annotated[int, Field(ge=1)] = 32 * 1024 * 1024
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$")] = "churn"
    reload_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 2
    shadow: Literal["challenger"] | None = None
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 1
    grace_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 200
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    deadline_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    read_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    keep_alive_seconds: Annotated[int, Field(ge=1, le=86_400)] = 75
    docs: bool = True
    open_paths: tuple[str, ...] = ("/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready")
    cors_origins: tuple[str, ...] = ()
    require_signature: tuple[Path, ...] = ()

    @field_validator("require_signature", mode="before")
    @classmethod
    def _one_file_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Settings(_Section):
    """Everything that can be configured; every key has a default, so an empty file is valid."""

    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    decision: DecisionSettings = DecisionSettings()
    promotion: PromotionSettings = PromotionSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    serving: ServingSettings = ServingSettings()
