"""What cannot be opened is said in the words of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from churn_mlops.config.settings import EventsSettings
from churn_mlops.data.events.reading import open_table
from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from churn_mlops.data.events.engine import Engine


def test_a_store_is_named_as_it_was_written(duckdb_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both of its slashes."""

    def refuse(path: str, is_folder: bool) -> None:
        raise OSError(f"no answer ({is_folder})")

    monkeypatch.setattr(duckdb_engine, "read_parquet", refuse)
    with pytest.raises(DataError, match=r"^Cannot read s3://bucket/log: no answer \(True\)$"):
        open_table(duckdb_engine, EventsSettings(path="s3://bucket/log"), ",", "data.events")
