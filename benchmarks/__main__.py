"""`make bench`: prints one table and writes benchmarks/results/.

Of `python -m benchmarks.features` and `python -m benchmarks.batch_score` it takes small sizes. Not among them, for they
take longer: `python -m benchmarks.accuracy`, `python -m benchmarks.million_rows`, `python -m benchmarks.kill_batch`,
`python -m benchmarks.events`, `python -m benchmarks.overload` and `python -m benchmarks.soak`.
"""

from __future__ import annotations

import argparse

from benchmarks import batch, batch_score, features, images, one_row, serving, singles
from benchmarks.load import check_tools
from benchmarks.table import show


def main() -> None:
    """Run every benchmark; one that needs what is not here gives no rows."""
    options = argparse.ArgumentParser(description=__doc__)
    serving.add_options(options)
    chosen = options.parse_args()
    check_tools()
    events = [*features.measure(), *batch_score.measure()]
    rows = [*one_row.measure(), *batch.measure(), *images.measure(), *events]
    rows += [*singles.measure(), *serving.measure(chosen.quick, chosen.peers)]
    show(rows)


if __name__ == "__main__":
    main()
