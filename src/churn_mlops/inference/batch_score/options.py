"""What the command that scores everyone was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

By = Literal["probability", "expected_profit"]
Form = Literal["parquet", "csv"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command was told; None where the configuration or the version says it."""

    table: str | None
    as_of: date | None
    features: str | None
    output: Path | None
    output_table: str | None
    overwrite: bool
    version: str
    top: int | None
    by: By | None
    reasons: int | None
    form: Form | None
    id_column: str | None
    snapshot_date: str | None
    rejects: Path | None
    config: Path | None
