"""Makes contents of reports: small ones, and ones with every section filled, many features and hostile names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from version_drafts import make_draft

from churn_mlops.models.metrics import Metrics, ScoreCounts, no_skill
from churn_mlops.models.signature import Feature, Signature
from churn_mlops.registry.manifest import (
    CandidateScore,
    Estimate,
    Evaluation,
    LeakCheck,
    LearningPoint,
    Manifest,
    SegmentMetrics,
)
from churn_mlops.training.report.content import Champion, PairEffect, ProfitCurve, ReportContent
from churn_mlops.training.report.effects import measure_effects

if TYPE_CHECKING:
    import numpy.typing as npt

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "average_monthly_amount_of_everything_that_was_ever_billed_in_the_last_ninety_days",
    "W" * 300,
    "$x_{$ & \\frac",
    "顧客の月額料金の平均値・過去九十日間",
    "متوسط الرسوم الشهرية",
    "two\nlines\x00\x1b\u202eflipped",
    "{{ 7 * 7 }} {% raw %}",
    "]]></style></svg>--!>",
)


def make_content(rows: int = 600, features: int = 3) -> ReportContent:
    """Make a content with what every version has, and nothing that only some have."""
    signature, matrix = _draw_customers(rows, features)
    contribution = _contribute(matrix)
    random = np.random.default_rng(1)
    probability = 1 / (1 + np.exp(1 - contribution.sum(axis=1)))
    churned = random.random(rows) < probability
    manifest = make_draft().model_copy(update={"signature": signature})
    metrics = _estimate(ScoreCounts.count(churned, probability).metrics())
    evaluation = manifest.evaluation.model_copy(
        update={"metrics": metrics, "no_skill": no_skill(float(churned.mean()))._asdict()}
    )
    return ReportContent(
        manifest=manifest.model_copy(update={"evaluation": evaluation}),
        churned=churned,
        probability=probability,
        effects=measure_effects(_contribute, signature, matrix),
    )


def make_full_content(rows: int = 3000, features: int = 60) -> ReportContent:
    """Make a content in which every section has something to show, and names are as bad as they can be."""
    content = make_content(rows, features)
    random = np.random.default_rng(2)
    contacted = np.linspace(0, 1, 101)
    worse = np.clip(content.probability + random.normal(0, 0.15, rows), 0.001, 0.999)
    return ReportContent(
        manifest=_fill(content.manifest),
        churned=content.churned,
        probability=content.probability,
        effects=content.effects,
        pairs=tuple(
            PairEffect(HOSTILE[n], HOSTILE[n + 1], HOSTILE[:6], HOSTILE[:8], random.normal(0, 0.1, (6, 8)), 0.1)
            for n in range(2)
        ),
        champion=Champion(make_draft(1), content.churned, worse),
        profit=ProfitCurve(contacted, 8 * contacted * (0.75 - contacted), 0.375, "EUR <b>", "A contact costs 1 <b>."),
        rejects={f"the target is {name!r}." * 2: number for number, name in enumerate(HOSTILE, 1)},
    )


def _draw_customers(rows: int, features: int) -> tuple[Signature, npt.NDArray[np.float64]]:
    """Draw numbers (a few of them with a long tail), flags and categories in turn, some values missing."""
    random = np.random.default_rng(0)
    described, columns = [], []
    for place in range(features):
        name = HOSTILE[place - 3] if 3 <= place < 3 + len(HOSTILE) else f"feature_{place}"
        feature, column = _draw_feature(random, rows, place, name)
        column[random.random(rows) < 0.02 * (place % 4)] = np.nan
        described.append(feature.model_copy(update={"missing_share": float(np.isnan(column).mean())}))
        columns.append(column)
    return Signature(features=tuple(described)), np.column_stack(columns)


def _draw_feature(
    random: np.random.Generator, rows: int, place: int, name: str
) -> tuple[Feature, npt.NDArray[np.float64]]:
    if place % 3 == 1:
        return Feature(name=name, kind="boolean", typical=True), (random.random(rows) < 0.7).astype(np.float64)
    if place % 3 == 2:
        categories = (*HOSTILE, *(f"category {number}" for number in range(15)))[: 2 + place]
        codes = random.integers(-1, len(categories), rows).astype(np.float64)
        codes[codes < 0] = -0.5  # rare or never seen
        return Feature(name=name, kind="categorical", categories=categories, typical=categories[0]), codes
    column = np.exp(random.normal(3, 1.5, rows)) if place % 2 else random.normal(0, 10, rows)
    low, high = float(column.min()), float(column.max())
    return Feature(name=name, kind="numeric", minimum=low, maximum=high, typical=float(np.median(column))), column


def _contribute(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    weight = 1.5 / (1 + np.arange(matrix.shape[1]))
    return np.asarray(np.tanh(np.nan_to_num(matrix, nan=-5.0) / 10) * weight, dtype=np.float32)


def _fill(manifest: Manifest) -> Manifest:
    evaluation: Evaluation = manifest.evaluation.model_copy(
        update={
            "candidates": (
                CandidateScore(
                    family="boosted",
                    log_loss=0.4102,
                    worse_by=0.0,
                    standard_error=0.0,
                    explainable=False,
                    chosen=False,
                    settings={"learning_rate": 0.05, "leaves": 31, "rounds": 240, "smallest_leaf": 40},
                    fit_seconds=12.3,
                ),
                CandidateScore(
                    family="ebm",
                    log_loss=0.4110,
                    worse_by=0.0008,
                    standard_error=0.0011,
                    explainable=True,
                    chosen=True,
                    settings={},
                    fit_seconds=45.6,
                ),
            ),
            "leak_report": (
                LeakCheck(scheme="random rows", roc_auc=0.95, log_loss=0.2, note="rows dealt out at random " * 4),
                LeakCheck(scheme="later period", roc_auc=None, log_loss=None, note="the table has no dates"),
            ),
            "segments": tuple(_make_segment(name, number) for number, name in enumerate(HOSTILE)),
            "learning_curve": tuple(
                LearningPoint(customers=n, roc_auc=0.86 - 10 / n, log_loss=0.38 + 20 / n)
                for n in (500, 1000, 2000, 4000)
            ),
        }
    )
    data = manifest.data.model_copy(
        update={
            "rows_rejected": 55,
            "rows_repeated": 12,
            "left_out": {name: f"it is {name!r} on every row" for name in HOSTILE},
            "notes": dict.fromkeys(HOSTILE, "text read as numbers; 11 blanks are missing values"),
        }
    )
    return manifest.model_copy(update={"evaluation": evaluation, "data": data})


def _make_segment(name: str, number: int) -> SegmentMetrics:
    gap = 0.02 * (number - 4)
    return SegmentMetrics(
        column=name,
        value=HOSTILE[-number - 1],
        customers=100 * (number + 1),
        base_rate=Estimate(value=0.3, low=0.25, high=0.35),
        mean_probability=0.3 + gap,
        selection_rate=0.2,
        roc_auc=None if number == 0 else 0.81,
        calibration_gap=Estimate(value=gap, low=gap - 0.03, high=gap + 0.03),
    )


def _estimate(metrics: Metrics) -> dict[str, Estimate]:
    return {name: Estimate(value=v, low=v * 0.9, high=v * 1.1) for name, v in metrics._asdict().items()}
