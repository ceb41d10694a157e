"""Writes sample logs once for all tests that look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pa_parquet
import pytest

from churn_mlops.data.event_sample.writing import SampleSize, Written, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True)
class Log:
    """A log that was written.

    Attributes:
        folder: where.
        written: what it was said to hold.
    """

    folder: Path
    written: Written

    def read(self, name: str) -> pd.DataFrame:
        """Read events, customers or cancellations; rows as they stand."""
        path = self.folder / ("events" if name == "events" else f"{name}.parquet")
        frame: pd.DataFrame = pa_parquet.read_table(path).to_pandas()
        return frame


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The log of 1,500 customers, which are two blocks, over two years."""
    folder = tmp_path_factory.mktemp("sample") / "log"
    return Log(folder, write_sample(folder, SampleSize(730, 1500), seed=0))


@pytest.fixture(scope="session")
def dirty_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The same with dirt."""
    folder = tmp_path_factory.mktemp("sample") / "log"
    return Log(folder, write_sample(folder, SampleSize(730, 1500), seed=0, dirty=True))


@pytest.fixture(scope="session")
def events(log: Log) -> pd.DataFrame:
    """The rows of the log."""
    return log.read("events")
