"""Makes small versions to register: complete manifests over files that are any bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from churn_mlops.models.metrics import Metrics, no_skill
from churn_mlops.models.signature import Feature, Signature
from churn_mlops.registry.manifest import (
    ESTIMATOR,
    GRAPH,
    BestRule,
    Calibration,
    DataSummary,
    Decision,
    Estimate,
    Evaluation,
    Explanation,
    Manifest,
    ParityFigures,
)
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES = {GRAPH: b"graph " * 50, ESTIMATOR: b"estimator " * 50}
BEGIN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def make_draft(number: int = 0, sample: bool = False) -> Manifest:
    """Make a manifest whose content differs with `number`, made `number` seconds after `BEGIN`."""
    return Manifest(
        version="00000000T000000Z-00000000",
        created_at=BEGIN + timedelta(seconds=number),
        sample=sample,
        model="logistic",
        signature=Signature(features=(Feature(name="tenure", kind="numeric", minimum=0, maximum=72, typical=29.0),)),
        explanation=Explanation(kind="additive", intercept=-1.25, method="exact"),
        calibration=Calibration(kind="none", a=1.0, b=1.0, c=0.0),
        decision=Decision(threshold=0.5, medium_risk=0.3, high_risk=0.6),
        evaluation=Evaluation(
            method="made up",
            metrics=_estimate(Metrics(0.8, 0.6, 0.4, 0.1, 0.01, 2.5)),
            no_skill=no_skill(0.25)._asdict(),
            best_rule=BestRule(column="tenure", metrics=_estimate(Metrics(0.7, 0.5, 0.5, 0.2, 0.01, 1.5))),
        ),
        data=DataSummary(
            name=f"Kundenübersicht {number}.csv",
            rows_read=1000,
            rows_used=1000,
            rows_rejected=0,
            rows_repeated=0,
            churn_rate=0.25,
            fingerprint="0" * 64,
            left_out={},
            notes={},
        ),
        parity=ParityFigures(rows=1e-7, edge_rows=1e-8),
        libraries={"numpy": "2.4.0"},
        files={},
    )


def register_some(root: Path, count: int, files: Mapping[str, bytes] = FILES) -> tuple[Registry, list[str]]:
    """Register versions one after the other; their names, oldest first."""
    registry = Registry(root)
    return registry, [register(registry, make_draft(number), files).version for number in range(count)]


def _estimate(metrics: Metrics) -> dict[str, Estimate]:
    return {name: Estimate(value=v, low=v * 0.9, high=v * 1.1) for name, v in metrics._asdict().items()}
