"""The configuration as frozen, typed settings: one class per section of `config/config.yaml`."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

Kind = Literal["numeric", "categorical", "boolean"]
Family = Literal["logistic", "ebm", "boosted", "blend"]
Probability = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]


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


class _LogSource(_Section):
    """One table in files, or in the engine, that event logs are made of."""

    path: str | None = None
    table: str | None = None
    customer: str = "customer_id"

    @model_validator(mode="after")
    def _is_in_one_place(self) -> _LogSource:
        if self.path is not None and self.table is not None:
            msg = f"path ({self.path!r}) and table ({self.table!r}) are both given; one of them was expected"
            raise ValueError(msg)
        return self

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return self.path or self.table or ""


class EventsSettings(_LogSource):
    """Where the event log is, and which of its rows and columns mean what."""

    time: str = "time"
    type: str | None = "type"
    known_time: str | None = None
    event_id: str | None = None
    amount: str | None = None
    attributes: tuple[str, ...] = ()
    time_zone: str = "UTC"
    # features/cells.py has no bit for days before 1823
    earliest: Annotated[date, Field(ge=date(1823, 1, 1))] = date(1990, 1, 1)
    nonnegative: tuple[str, ...] = ()
    not_identifying: tuple[str, ...] = ()
    derive: dict[str, str] = Field(default_factory=dict)
    exclude: dict[str, str] = Field(default_factory=dict)

    @field_validator("time_zone", mode="after")
    @classmethod
    def _time_zone_is_known(cls, name: str) -> str:
        if name not in available_timezones():
            raise PydanticCustomError("time_zone", "it should be the name of a time zone, such as Europe/Berlin or UTC")
        return name


class CustomersSettings(_LogSource):
    """Where the attributes of customers are, and when they became known."""

    known_time: str | None = None
    attributes: tuple[str, ...] = ()


class CancellationsSettings(_LogSource):
    """Where cancellations are, and when they became known."""

    time: str = "time"
    known_time: str | None = None


class DataSettings(_Section):
    """Where the customers come from, and what their columns mean."""

    source: Literal["sample", "table", "events"] = "sample"
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
    events: EventsSettings = EventsSettings()
    customers: CustomersSettings | None = None
    cancellations: CancellationsSettings | None = None

    @model_validator(mode="after")
    def _log_is_named(self) -> DataSettings:
        logs: dict[str, _LogSource | None] = {"customers": self.customers, "cancellations": self.cancellations}
        if self.source == "events":
            logs["events"] = self.events
        for key, log in logs.items():
            if log is not None and not log.name:
                msg = f"data.{key} needs a path (a file, a folder or a pattern) or a table of the engine"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _table_is_complete(self) -> DataSettings:
        if self.source == "table":
            required = {"path": self.path, "target": self.target, "positive_label": self.positive_label}
            absent = [f"data.{key}" for key, value in required.items() if value is None]
            if absent:
                msg = f"data.source is 'table', which also needs {' and '.join(absent)}"
                raise ValueError(msg)
        return self


class ChurnSettings(_Section):
    """What leaving means in an event log, who is looked at, and when."""

    definition: Literal["inactivity", "cancellation"] = "inactivity"
    event_types: tuple[str, ...] = ()
    active_days: Days = 90
    lead_days: Annotated[int, Field(ge=0, le=3650)] = 0
    horizon_days: Annotated[tuple[Days, ...], Field(min_length=1)] = (30,)
    every_days: Days = 30
    training_snapshots: Annotated[int, Field(ge=1, le=100)] = 4
    snapshots: tuple[date, ...] = ()
    test_snapshots: tuple[date, ...] = ()

    @field_validator("event_types", mode="after")
    @classmethod
    def _no_type_is_all_others(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if "other" in types:
            raise PydanticCustomError(
                "event_types",
                "it should not name 'other', as all types without features of their own are called together; give that "
                "type another name with data.events.derive.type",
            )
        return types

    @property
    def outcome_days(self) -> int:
        """Days from a snapshot until the outcome of the longest horizon is known."""
        return self.lead_days + max(self.horizon_days)


class FeaturesSettings(_Section):
    """What is computed from each customer's events."""

    windows_days: Annotated[tuple[Days, ...], Field(min_length=1)] = (7, 30, 90)
    event_types: Annotated[int, Field(ge=1, le=100)] | tuple[str, ...] = 8
    expressions: dict[str, str] = Field(default_factory=dict)

    @field_validator("windows_days", mode="after")
    @classmethod
    def _windows_ascend(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(windows)))


class EngineSettings(_Section):
    """What computes on event logs."""

    name: Literal["duckdb", "pyspark"] = "duckdb"
    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] = "4GB"
    threads: Annotated[int, Field(ge=1)] | None = None
    database: Path | None = None
    temp_directory: Path | None = None


class SparkSettings(_Section):
    """Where Spark is, and how it is to be set."""

    master: str = "local[*]"
    config: dict[str, str] = Field(default_factory=dict)


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
    max_events: Annotated[int, Field(ge=1)] = 10_000
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
    churn: ChurnSettings = ChurnSettings()
    features: FeaturesSettings = FeaturesSettings()
    engine: EngineSettings = EngineSettings()
    spark: SparkSettings = SparkSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    decision: DecisionSettings = DecisionSettings()
    promotion: PromotionSettings = PromotionSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    serving: ServingSettings = ServingSettings()

    @model_validator(mode="after")
    def _cancellations_are_there(self) -> Settings:
        if self.data.source == "events" and self.churn.definition == "cancellation" and not self.data.cancellations:
            msg = "churn.definition is 'cancellation', which also needs data.cancellations"
            raise ValueError(msg)
        return self
