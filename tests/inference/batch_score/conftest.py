"""Small versions of every family, and the job run on frames of customers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from customer_frames import MIXED, draw_churn, make_frame
from family_matrices import quick_boosted, quick_ebm
from version_drafts import make_draft

from churn_mlops.inference.batch_score.job import Order, score_customers
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.batch_score.table_source import TableSource, find_files
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
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

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


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """A version of each family, and one of the EBM that decides by profit."""
    root = tmp_path_factory.mktemp("versions")
    made = {family: make_version(root / family, family) for family in ("logistic", "ebm", "boosted", "blend")}
    return made | {"profit": make_version(root / "profit", "ebm", PROFIT)}


@dataclass(frozen=True)
class Scored:
    """What a run wrote: the answers, the rejected rows, what was counted, and the file."""

    answers: pd.DataFrame
    rejects: pd.DataFrame
    counts: Counter[str]
    output: Path


@pytest.fixture
def score(versions: dict[str, Version], tmp_path: Path) -> Callable[..., Scored]:
    """Run the job on files."""

    def run(family: str, path: Path, form: str = "parquet", **changes: Any) -> Scored:
        version = versions[family]
        columns = {name: changes.pop(name) for name in ("customer_value", "time", "delimiter") if name in changes}
        source = TableSource(find_files(str(path)), list(MIXED), "customer_id", **columns)
        output = tmp_path / f"scores.{form}"
        settings: dict[str, Any] = {
            "output": output,
            "rejects": tmp_path / "rejects.csv",
            "form": form,
            "reasons": 3,
            "top": None,
            "by": "probability",
            "max_missing_share": 0.5,
            "missing_values": ("", "NA"),
        }
        order = Order(**(settings | changes))
        counts = score_customers(version.quick, source, order)
        answers = pd.read_csv(output) if form == "csv" else pd.read_parquet(output)
        return Scored(answers, pd.read_csv(order.rejects), counts, output)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a frame of customers as a file of the kind that its name says, with their ids in front."""

    def to_file(frame: pd.DataFrame, name: str = "customers.parquet", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "customer_id" not in frame:
            frame = frame.assign(customer_id=[f"C{row}" for row in range(len(frame))])
        if name.endswith(".parquet"):
            pa_parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, **options)
        else:
            frame.to_csv(path, index=False, **options)
        return path

    return to_file
