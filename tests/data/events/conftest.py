"""What tests of event logs may use: an engine that is opened once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from churn_mlops.config.settings import EngineSettings, SparkSettings
from churn_mlops.data.events.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.data.events.engine import Engine


@pytest.fixture(scope="session")
def duckdb_engine() -> Iterator[Engine]:
    """DuckDB in this process."""
    with open_engine(EngineSettings(threads=1), SparkSettings()) as engine:
        yield engine
