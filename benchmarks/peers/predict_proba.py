"""What scikit-learn users write: the estimator's predict_proba on one chunk of a pandas frame after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pa_parquet

CHUNK_ROWS = 100_000


def main(customers: Path, estimator: Path, output: Path) -> None:
    """Read Parquet files, predict, and write ids and probabilities."""
    model = joblib.load(estimator)
    schema = pa.schema({"customer_id": pa.int64(), "churn_probability": pa.float64()})
    with pa_parquet.ParquetWriter(output, schema) as writer:
        for file in sorted(customers.glob("*.parquet")):
            for chunk in pa_parquet.ParquetFile(file).iter_batches(CHUNK_ROWS):
                frame = chunk.to_pandas()
                probability = model.predict_proba(frame)[:, 1]
                writer.write_table(pa.table([frame["customer_id"], probability], schema=schema))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
