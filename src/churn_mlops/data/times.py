"""Reads the column that says as of when a row was true: dates or times, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Times:
    """The time of every row.

    Attributes:
        values: datetime64 UTC [rows]; NaT where the row is rejected.
        rejected: reason by position, for rows without a usable time.
    """

    values: pd.Series
    rejected: dict[int, str]


def read_times(column: pa.ChunkedArray, name: str, missing_values: Sequence[str]) -> Times:
    """Read ISO 8601 texts, dates and timestamps; a time without a zone is UTC. Whatever is neither is rejected.

    Columns of numbers are rejected too: whether 20240131 is a day or a count of seconds would be a guess.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        shown = pd.Series(column.to_pandas())
        values = pd.to_datetime(shown, utc=True, errors="coerce")
        missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    else:
        shown = pd.Series(column.to_pylist(), dtype=object)
        text = shown.map(lambda value: value.strip() if isinstance(value, str) else "")
        values = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
        missing = (shown.isna() | shown.map(lambda value: str(value).strip()).isin(missing_values)).to_numpy()
    rejected = {
        int(position): f"the time {name!r} is missing."
        if missing[position]
        else f"the time {name!r} is {shown.iloc[position]!r}; a date or time such as '2024-01-31' or "
        f"'2024-01-31T12:00:00Z' was expected."
        for position in np.flatnonzero(values.isna().to_numpy())
    }
    return Times(values, rejected)
