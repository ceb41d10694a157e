"""What the command that scores everyone was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

By = Literal["probability", "expected_profit"]
Form = Literal["parquet", "csv"]


@dataclass(frozen=True)
class Options:
    """What the command was told; None where the configuration or the version says it."""

    table: str
    output: Path
    version: str
    top: int | None
    by: By | None
    reasons: int | None
    form: Form | None
    id_column: str | None
    snapshot_date: str | None
    rejects: Path | None
    config: Path | None
