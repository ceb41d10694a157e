"""Rows that cannot be used, each with its reason: counted, kept, and written where they can be looked at."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_mlops.atomic_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was left out.

    Attributes:
        row: number of the row in its file, the first row after the header being 1 (empty lines are not counted).
        reason: a sentence saying what was wrong and what was expected.
        text: the row as it stood, its fields joined by the file's delimiter.
    """

    row: int
    reason: str
    text: str


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Replace the rejects file at once: columns row, reason, text; only a header when nothing was rejected."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("row", "reason", "text"))
    writer.writerows((reject.row, reject.reason, reject.text) for reject in rejects)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue().encode("utf-8"))
