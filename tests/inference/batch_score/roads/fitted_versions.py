"""Fits small versions of every family, and registers them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib
from customer_frames import MIXED, draw_churn, make_frame
from family_matrices import quick_boosted, quick_ebm
from version_drafts import make_draft

from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.scorer import Scorer, load_version
from churn_mlops.models.blend import Blend
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.export import export_model
from churn_mlops.models.logistic import build_logistic
from churn_mlops.registry import manifest as parts
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.config.settings import Kind

PROFIT = parts.Decision(
    mode="profit",
    threshold=0.4,
    medium_risk=0.3,
    high_risk=0.6,
    parameters=parts.ProfitParameters(
        customer_value=50.0, value_column="charges", offer_cost=5.0, save_rate=0.3, correction=1.0
    ),
)


@dataclass(frozen=True)
class Version:
    """A registered version with the estimator behind it."""

    registry: Registry
    model: ChurnModel
    scorer: Scorer

    @property
    def quick(self) -> QuickScorer:
        """As the job loads it."""
        return QuickScorer(self.scorer, self.registry.read_file(self.scorer.manifest))


def make_version(root: Path, family: str, decision: parts.Decision | None = None) -> Version:
    """Fit a family on a small frame and register it."""
    frame = make_frame(MIXED)
    return fit_version(root, family, MIXED, frame, draw_churn(frame), decision)


def fit_version(
    root: Path,
    family: str,
    kinds: dict[str, Kind],
    frame: pd.DataFrame,
    churned: npt.NDArray[np.bool_],
    decision: parts.Decision | None = None,
) -> Version:
    """Fit a family on a frame and register it."""
    members = {"boosted": quick_boosted(bags=2), "ebm": quick_ebm()}
    families: dict[str, Any] = {
        **members,
        "logistic": build_logistic(kinds),
        "blend": Blend(members, {"boosted": 0.4, "ebm": 0.6}),
    }
    calibration = Calibration("beta", 0.8, 1.3, -0.2)
    model = ChurnModel(kinds, 5, families[family], calibration).fit(frame, churned)
    exported = export_model(model, frame)
    pickled = io.BytesIO()
    joblib.dump(model, pickled)
    draft = make_draft().model_copy(
        update={
            "model": family,
            "signature": model.signature,
            "explanation": parts.Explanation(
                kind=exported.contributions, intercept=exported.intercept, method=exported.method
            ),
            "calibration": parts.Calibration(kind="beta", a=0.8, b=1.3, c=-0.2),
            "decision": decision or make_draft().decision,
        }
    )
    registry = Registry(root)
    files = {parts.GRAPH: exported.graph, parts.ESTIMATOR: pickled.getvalue()}
    version = register(registry, draft, files).version
    return Version(registry, model, load_version(registry, version, threads=1))
