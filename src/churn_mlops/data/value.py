"""Reads the column that says what each customer is worth, and which rows do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.kinds import ReadColumn, read_column
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from churn_mlops.config.settings import DataSettings

_KEY: Final = "decision.customer_value"


def read_value(columns: pa.Table, name: str, settings: DataSettings) -> ReadColumn:
    """Read a column as customer values: finite numbers of at least 0, in whatever unit the operator counts.

    Raises:
        MissingColumn: the table does not have it.
        DataError: it is the target, or holds no numbers at all.
    """
    if name not in columns.column_names:
        raise MissingColumn(_KEY, name, columns.column_names)
    if name == settings.target:
        raise DataError(f"{_KEY} names the target {name!r}; a column that says what a customer is worth was expected.")
    read = read_column(columns[name], name, "numeric", settings.missing_values)
    if read.kind is None:
        raise DataError(f"{_KEY} names the column {name!r}, but {read.problem}; numbers of at least 0 were expected.")
    values = read.values.to_numpy()
    rejected = dict(read.rejected)
    for position in np.flatnonzero(np.isnan(values)):
        rejected.setdefault(int(position), f"the column {name!r} is missing; a customer value was expected.")
    for position in np.flatnonzero(values < 0):
        negative = f"the column {name!r} is {values[position].item()!r}; a customer value of at least 0 was expected."
        rejected.setdefault(int(position), negative)
    return replace(read, rejected=rejected)
