"""Writes the rows of an event log that were rejected, as the engine hands them over, with their reasons."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.csv as pa_csv

from churn_mlops.atomic_files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from churn_mlops.data.events.engine import Engine


def write_rejected(engine: Engine, path: Path, tables: Sequence[ir.Table]) -> None:
    """Replace the file of rejected rows at once: reason, then the columns of the log; empty where there are none.

    The rows are in the order in which the engine gives them: DuckDB batch by batch, Spark after all of them are here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            for place, table in enumerate(tables):
                options = pa_csv.WriteOptions(include_header=place == 0)
                batches = engine.batches(table)
                with pa_csv.CSVWriter(file, batches.schema, write_options=options) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    temporary.chmod(0o644)
    temporary.replace(path)
    sync_folder(path.parent)
