"""Writes a snapshot of an event log to a file: the customers at risk on a day, ordered, with their features."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pa_parquet

from churn_mlops.atomic_files import explain_unwritable, sync_folder
from churn_mlops.data.events.engine import open_engine
from churn_mlops.errors import OutputRefused
from churn_mlops.features.building import CUSTOMER
from churn_mlops.features.log_snapshot import compute_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from churn_mlops.config.settings import Settings
    from churn_mlops.features.log_snapshot import LogSnapshot


def export_snapshot(
    settings: Settings,
    output: Path,
    day: date | None,
    types: tuple[str, ...] | None,
    observe: Callable[[str], None] = lambda _: None,
) -> LogSnapshot:
    """Compute a snapshot and write it as Parquet; the file is replaced at once when it is complete.

    Args:
        settings: the configuration.
        output: the file.
        day: the snapshot; the day after the log's last event without it.
        types: event types with features of their own; found in the log without.
        observe: told in words what is done next.

    Returns:
        What was written; its engine is closed.

    Raises:
        DataError: the log cannot be used, or nobody is at risk on that day.
        OutputRefused: the file is a folder, or of another kind.
        NotWritable: its folder refuses.
    """
    if output.suffix != ".parquet" or output.is_dir():
        raise OutputRefused(f"{output} is no name of a Parquet file; one that ends in .parquet was expected.")
    with explain_unwritable(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        rejects = output.with_name(f"{output.stem}.rejected_events.csv")
        with open_engine(settings.engine, settings.spark) as engine:
            snapshot = compute_snapshot(engine, settings, rejects, day, types, observe)
            observe(f"writing {snapshot.customers:,} customers")
            _write(snapshot, output)
    return snapshot


def _write(snapshot: LogSnapshot, output: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        unfinished = Path(folder) / output.name
        batches = snapshot.engine.batches(snapshot.rows.order_by(CUSTOMER))
        with unfinished.open("wb") as file, pa_parquet.ParquetWriter(file, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(output)
    sync_folder(output.parent)
