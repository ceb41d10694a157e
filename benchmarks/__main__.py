"""`make bench`: prints one table and writes benchmarks/results/.

Not among them, for they take longer: `python -m benchmarks.accuracy` and `python -m benchmarks.million_rows`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import batch, images, one_row


def main() -> None:
    """Run every benchmark; one that needs what is not here gives no rows."""
    console = Console()
    rows = [comparison for measure in (one_row.measure, batch.measure, images.measure) for comparison in measure()]
    table = Table("measured", "ours", "other", "beside", "ratio", title="medians of rounds run in turn")
    for row in rows:
        table.add_row(
            row.name, f"{row.ours:.4g} {row.unit}", f"{row.other:.4g} {row.unit}", row.beside, f"{row.ratio:.3g}"
        )
    console.print(table)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    stamp = datetime.now(UTC)
    (results / f"{stamp:%Y%m%dT%H%M%SZ}.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
