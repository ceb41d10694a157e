"""Kills batch scoring with SIGKILL at random moments: the last output stays as it was, and the next run finishes it.

Run it by hand: python -m benchmarks.kill_batch [--kills 20] [--seed 0] [--rows 1000000]. The moments come from the seed
and are spread over the whole run; every other run that goes on is killed once more before it may finish. It does so for
a Parquet file, a CSV file and a contact list, or for what options of the command say, such as --top 50.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from churn_mlops.data.sample import read_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCORE: Final = (sys.executable, "-m", "churn_mlops.inference.batch_score")
OUTPUTS: Final[tuple[tuple[str, ...], ...]] = ((), ("--format", "csv"), ("--top", "1000"))
"""What is written: everyone as Parquet and as CSV, and a contact list."""


class Killing:
    """Runs on one table, each killed at some moment of its own, over an output that is complete.

    Args:
        folder: for tables and outputs.
        rows: of the table, which is the sample again and again, with some rows that cannot be scored.
        seed: seeds the moments.
        options: of the command.
        environment: by name; says where the version is.
    """

    def __init__(self, folder: Path, rows: int, seed: int, options: Sequence[str], environment: dict[str, str]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - moments, no secrets
        empty = folder / "empty.yaml"
        empty.touch()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_MLOPS")}
        self._environment = inherited | {"CHURN_MLOPS_CONFIG": str(empty)} | environment
        table = write_customers(folder, rows)
        self.output = folder / "out" / f"scores.{'csv' if 'csv' in options else 'parquet'}"
        self._rejects = self.output.with_name("scores.rejects.csv")
        self._command = [*SCORE, str(table), "--output", str(self.output), *options]
        before = time.monotonic()
        self._finish()
        self.seconds = time.monotonic() - before
        self._expected = self._read()
        self._last = (b"the last complete output", b"its rejects")
        self.killed = self.ended_first = 0

    def kill_one(self, number: int) -> str:
        """Kill a run, perhaps also the one that goes on, and let the next finish; say what was wrong, or nothing."""
        for hit in range(1 + number % 2):
            while not self._kill(anew=hit == 0):
                self.ended_first += 1
            if self.output.read_bytes() not in (self._last[0], self._expected[0]):
                return "the output is neither the last one nor the new one"
        self._finish()
        if self._read() != self._expected:
            return "the run that went on wrote something else than one that was left alone"
        left = sorted(entry.name for entry in self.output.parent.iterdir())
        return "" if left == sorted([self.output.name, self._rejects.name]) else f"there are {left}"

    def _kill(self, anew: bool) -> bool:
        """Start a run, over the last output or where another was killed, and say whether it was hit before its end."""
        if anew or self.output.read_bytes() == self._expected[0]:
            for file, content in zip((self.output, self._rejects), self._last, strict=True):
                file.write_bytes(content)
        with subprocess.Popen(self._command, env=self._environment, stdout=subprocess.DEVNULL) as run:
            time.sleep(self._random.uniform(0, self.seconds))
            run.send_signal(signal.SIGKILL)
        self.killed += run.returncode == -signal.SIGKILL
        return run.returncode == -signal.SIGKILL

    def _finish(self) -> None:
        subprocess.run(self._command, env=self._environment, stdout=subprocess.DEVNULL, check=True)

    def _read(self) -> tuple[bytes, bytes]:
        return self.output.read_bytes(), self._rejects.read_bytes()


def write_customers(folder: Path, rows: int) -> Path:
    """Write a folder of Parquet and CSV files with the sample again and again; every 1000th row has no id."""
    sample = read_sample().columns
    table = folder / "customers"
    table.mkdir()
    copies = max(3, rows // len(sample))
    for number, form in enumerate(("parquet", "csv", "parquet")):
        many = pa.concat_tables([sample] * (copies // 3))
        ids = pa.array([None if row % 1000 == 0 else f"{number}-{row}" for row in range(len(many))], pa.string())
        many = many.append_column("customer_id", ids)
        if form == "csv":
            pa_csv.write_csv(many, table / f"{number}.csv")
        else:
            pa_parquet.write_table(many, table / f"{number}.parquet", row_group_size=100_000)
    return table


def kill_many(killing: Killing, kills: int, show: Callable[[str], None]) -> bool:
    """Kill that many runs and show what came of it; whether all was well each time."""
    problems = [problem for problem in (killing.kill_one(number) for number in range(kills)) if problem]
    for problem in problems:
        show(problem)
    show(
        f"{killing.killed} runs killed within their {killing.seconds:.1f} s, {killing.ended_first} more ended first: "
        f"{kills - len(problems)} of {kills} times the last output stayed until the new one was there, byte by byte"
    )
    return not problems


def main() -> int:
    """Read the options, and kill in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    chosen, options = parser.parse_known_args()
    artifacts = {"CHURN_MLOPS__ARTIFACTS__PATH": str(chosen.artifacts.absolute())}
    went_well = []
    for given in [tuple(options)] if options else OUTPUTS:
        with tempfile.TemporaryDirectory(prefix="kill-batch-") as folder:
            killing = Killing(Path(folder), chosen.rows, chosen.seed, given, artifacts)
            print(" ".join(given) or "--format parquet", end=": ")
            went_well.append(kill_many(killing, chosen.kills, print))
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    sys.exit(main())
