"""The estimator behind the sample version, and its data."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import joblib
import pytest

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.table import load_customers
from churn_mlops.inference.scorer import Scorer, load_champion
from churn_mlops.registry.manifest import ESTIMATOR
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from churn_mlops.models.churn_model import ChurnModel


@pytest.fixture(scope="session")
def sample_features() -> pd.DataFrame:
    """The features of the 7,043 customers of the sample."""
    return load_customers(DataSettings(source="sample")).features


@pytest.fixture
def sample_estimator(sample_registry: Registry) -> ChurnModel:
    """The fitted estimator of the sample version."""
    manifest = sample_registry.read(sample_registry.champion())
    estimator: ChurnModel = joblib.load(io.BytesIO(sample_registry.read_file(manifest, ESTIMATOR)))
    return estimator


@pytest.fixture
def sample_scorer(sample_registry: Registry) -> Scorer:
    """The loaded sample version."""
    return load_champion(sample_registry)


@pytest.fixture
def copied(sample_registry: Registry, tmp_path: Path) -> Registry:
    """A copy of the sample version's registry, to spoil."""
    return Registry(shutil.copytree(sample_registry.root, tmp_path / "artifacts"))
