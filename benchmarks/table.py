"""What a benchmark found, as a table to read and a file to keep."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.comparison import Comparison

RESULTS = Path(__file__).parent / "results"


def show(rows: Sequence[Comparison]) -> None:
    """Print the rows, and write them to benchmarks/results/."""
    table = Table("measured", "ours", "other", "beside", "ratio", "wanted", title="medians of rounds run in turn")
    for row in rows:
        ours, other = f"{row.ours:.4g} {row.unit}", f"{row.other:.4g} {row.unit}"
        table.add_row(row.name, ours, other, row.beside, f"{row.ratio:.3g}", row.wanted)
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
