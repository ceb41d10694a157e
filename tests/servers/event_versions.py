"""Makes a version that was trained on an event log, quickly, with the log beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
from event_requests import as_request, by_customer
from version_drafts import make_draft

from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.data.event_sample.writing import SampleSize, write_sample
from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.engine import open_engine
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.export import export_model
from churn_mlops.models.logistic import build_logistic
from churn_mlops.registry.manifest import EVENT_PROGRAM, GRAPH, Explanation
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from churn_mlops.training.event_program import compile_program
from churn_mlops.training.event_table import remember_features

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from churn_mlops.config.settings import Kind

DAY = date(2024, 10, 1)


@dataclass(frozen=True)
class EventVersion:
    """A version that was trained on an event log.

    Attributes:
        artifacts: its registry, to read only.
        version: its name.
        rows: the features that the engine computed, of each customer at risk on `DAY`.
        events: all events of each customer.
        cancelled: time and known_time of the customers who cancelled.
    """

    artifacts: Path
    version: str
    rows: dict[Hashable, dict[str, Any]]
    events: dict[Hashable, list[dict[str, Any]]]
    cancelled: dict[Hashable, dict[str, Any]]

    def settings(self, **serving: Any) -> Settings:
        """Give settings that serve it."""
        return Settings(artifacts=ArtifactsSettings(path=self.artifacts), serving=ServingSettings(**serving))

    def request(self, customer: Hashable, **beside: Any) -> dict[str, Any]:
        """Give a request for a customer on `DAY`, of all that the log has of it."""
        cancelled = self.cancelled.get(customer)
        return {
            "customer_id": customer,
            "as_of": str(DAY),
            "events": [as_request(event) for event in self.events[customer]],
            "cancellations": [{name: time.isoformat() for name, time in cancelled.items()}] if cancelled else [],
            "customer": {"plan": self.rows.get(customer, {}).get("plan")},
            **beside,
        }


def train_version(folder: Path) -> EventVersion:
    """Fit a logistic model of the features of a sample log, on one snapshot, and register it in a folder."""
    log = folder / "log"
    write_sample(log, SampleSize(200, 120), seed=1)
    settings = Settings.model_validate(
        {
            "data": {
                "source": "events",
                "events": {
                    "path": str(log / "events"),
                    "known_time": "known_time",
                    "event_id": "event_id",
                    "amount": "amount",
                },
                "customers": {
                    "path": str(log / "customers.parquet"),
                    "known_time": "known_time",
                    "attributes": ["plan"],
                },
                "cancellations": {"path": str(log / "cancellations.parquet"), "known_time": "known_time"},
            },
            "features": {"windows_days": [7, 30], "event_types": 3, "expressions": {"is_new": "tenure_days < 60"}},
            "churn": {"active_days": 30},
        }
    )
    with open_engine(settings.engine, settings.spark) as engine:
        beside = read_customers(engine, settings.data), read_cancellations(engine, settings.data)
        checked = check_events(engine, settings.data, folder / "rejects.csv", beside[0])
        builder = SnapshotBuilder.prepare(engine, checked, settings, [DAY], *beside)
        program = compile_program(settings, checked, builder)
        frame = engine.batches(builder.build(DAY, with_outcomes=False).order_by("customer_id")).read_all().to_pandas()
    graph, draft = _fit(frame.drop(columns=["customer_id", "snapshot_date"]))
    draft = draft.model_copy(update={"event_features": remember_features(settings, builder.cells.types)})
    registry = Registry(folder / "artifacts")
    written = register(registry, draft, {GRAPH: graph, EVENT_PROGRAM: program.model_dump_json().encode()})
    plain = frame.astype(object).where(frame.notna(), None)
    cancelled = pd.read_parquet(log / "cancellations.parquet").set_index("customer_id")
    return EventVersion(
        registry.root,
        written.version,
        {row["customer_id"]: row for row in plain.to_dict("records")},
        by_customer(pd.read_parquet(log / "events")),
        {customer: dict(row) for customer, row in cancelled.iterrows()},
    )


def _fit(features: pd.DataFrame) -> Any:
    """Fit a model to who was seldom seen; give its graph, and a manifest for it."""
    kinds: dict[str, Kind] = dict.fromkeys(features.columns, "numeric")
    kinds |= {"plan": "categorical", "is_new": "boolean"}
    frame = features.astype({"plan": "category", "is_new": "boolean"})
    churned = (frame["events_30d"] + 10 * (frame["plan"] == "basic")).rank(method="first") < len(frame) / 3
    fitted = ChurnModel(kinds, 2, build_logistic(kinds)).fit(frame, churned.to_numpy())
    exported = export_model(fitted, frame)
    explanation = Explanation(kind=exported.contributions, intercept=exported.intercept, method=exported.method)
    return exported.graph, make_draft().model_copy(
        update={"signature": fitted.signature, "explanation": explanation, "sample": False}
    )
