"""Makes customer tables to learn from: in memory, and as CSV files with settings that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_mlops.config.settings import ArtifactsSettings, DataSettings, Settings, TrainingSettings
from churn_mlops.data.table import CustomerTable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from churn_mlops.config.settings import Kind


def make_table(
    features: pd.DataFrame,
    churned: npt.NDArray[np.bool_],
    left_out_missing: dict[str, npt.NDArray[np.bool_]] | None = None,
) -> CustomerTable:
    """Make a table whose kinds follow from the dtypes of its columns."""
    kind_of: dict[str, Kind] = {"float64": "numeric", "boolean": "boolean"}
    return CustomerTable(
        name="customers.csv",
        is_sample=False,
        features=features,
        kinds={str(name): kind_of.get(str(dtype), "categorical") for name, dtype in features.dtypes.items()},
        churned=churned,
        customer_ids=None,
        rejects=(),
        left_out={},
        left_out_missing=left_out_missing or {},
        notes={},
    )


def draw_customers(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Draw customers, about 40 % of them churners: mostly those with a short tenure, some for no reason seen here."""
    random = np.random.default_rng(seed)
    tenure = random.uniform(0, 72, rows)
    churned = random.random(rows) < np.clip(0.8 - tenure / 90, 0.05, 0.95)
    plan = random.choice(["month", "year"], rows)
    charges = random.normal(70, 20, rows).round(2)
    return pd.DataFrame({"tenure": tenure.round(3), "plan": plan, "charges": charges, "churned": churned})


def write_settings(folder: Path, customers: pd.DataFrame, **data: object) -> Settings:
    """Write the customers as CSV, and settings to train on them quickly into `folder/artifacts`."""
    path = folder / "customers.csv"
    customers.to_csv(path, index=False)
    named = {"source": "table", "path": path, "target": "churned", "positive_label": True} | data
    return Settings(
        data=DataSettings.model_validate(named),
        training=TrainingSettings(folds=3, bootstrap_resamples=100),
        artifacts=ArtifactsSettings(path=folder / "artifacts"),
    )
