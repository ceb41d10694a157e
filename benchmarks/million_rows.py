"""A million customers with 30 features through the real command: seconds of each step, and peak memory.

    python -m benchmarks.million_rows [--rows N] [--model auto] [--formats parquet csv]

Customers are drawn with a seed and written piece by piece to a temporary folder, then trained on by
`python -m churn_mlops train`. Beside its peak memory stands that of a process that only loads the file with pandas.
It takes too long for `make bench`, which leaves it out.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHUNK_ROWS = 100_000
NUMBERS, TEXTS, FLAGS = 18, 8, 4
_STEP = re.compile(r"\[\d+/\d+\] (?P<name>.*?)(?:, about .* left)?$")
_LOADERS = {"parquet": "pandas.read_parquet", "csv": "pandas.read_csv"}


@dataclass(frozen=True)
class Run:
    """What a command took.

    Attributes:
        seconds: of each step, in order; the last ends with the process.
        cpu_seconds: of all processors.
        peak_bytes: largest resident memory of the process.
        output: what it printed.
    """

    seconds: dict[str, float]
    cpu_seconds: float
    peak_bytes: int
    output: str


def main() -> None:
    """Draw the customers, train on each format, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--model", default="auto")
    options.add_argument("--formats", nargs="+", choices=[*_LOADERS], default=[*_LOADERS])
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_customers(Path(folder), chosen.rows, chosen.formats)
        for form in chosen.formats:
            file = Path(folder) / f"customers.{form}"
            loading = run([sys.executable, "-c", f"import pandas; {_LOADERS[form]}({str(file)!r})"], {})
            training = run([sys.executable, "-m", "churn_mlops", "train", "--model", chosen.model], _configure(file))
            _show(f"{chosen.rows:,} rows, {form}, model {chosen.model}", training, loading)


def draw_customers(rows: int, seed: int = 0) -> Iterator[pd.DataFrame]:
    """Draw customers, at most `CHUNK_ROWS` at a time: 30 features of which some are missing, an id, and who left.

    Numbers act bent, in pairs and with a gap where they are missing; texts by their value; flags together with numbers.
    """
    random = np.random.default_rng(seed)
    risk_of_text = [random.normal(0, 0.4, count) for count in np.linspace(3, 40, TEXTS).astype(int)]
    for start in range(0, rows, CHUNK_ROWS):
        size = min(CHUNK_ROWS, rows - start)
        numbers = random.normal(size=(size, NUMBERS))
        numbers[:, ::3] = np.exp(numbers[:, ::3])
        texts = [random.integers(0, len(risk), size) for risk in risk_of_text]
        flags = random.random((size, FLAGS)) < np.linspace(0.1, 0.7, FLAGS)
        missing = random.random((size, NUMBERS)) < np.linspace(0, 0.2, NUMBERS)
        log_odds = -2.2 + sum(risk[text] for risk, text in zip(risk_of_text, texts, strict=True))
        log_odds += 0.8 * np.abs(numbers[:, 1]) - 0.6 * np.log1p(numbers[:, 0]) + np.sin(2 * numbers[:, 2])
        log_odds += 0.5 * numbers[:, 4] * numbers[:, 5] + np.where(flags[:, 0], numbers[:, 7], 0) + missing[:, -1]
        frame: dict[str, object] = {"customer_id": np.arange(start, start + size)}
        frame |= {f"number_{place}": np.where(missing[:, place], np.nan, numbers[:, place]) for place in range(NUMBERS)}
        frame |= {
            f"text_{place}": pd.Series([f"value {code}" for code in text.tolist()]).where(random.random(size) > 0.03)
            for place, text in enumerate(texts)
        }
        frame |= {
            f"flag_{place}": pd.Series(flags[:, place], dtype="boolean").where(random.random(size) > 0.02)
            for place in range(FLAGS)
        }
        frame["churned"] = np.where(random.random(size) < 1 / (1 + np.exp(-log_odds)), "yes", "no")
        yield pd.DataFrame(frame)


def write_customers(folder: Path, rows: int, formats: Sequence[str]) -> None:
    """Write the same customers in each format as `customers.<format>`, one chunk in memory at a time."""
    writers: list[pa_parquet.ParquetWriter | pa_csv.CSVWriter] = []
    for frame in draw_customers(rows):
        piece = pa.Table.from_pandas(frame, preserve_index=False)
        if not writers:
            kinds = {"parquet": pa_parquet.ParquetWriter, "csv": pa_csv.CSVWriter}
            writers = [kinds[form](str(folder / f"customers.{form}"), piece.schema) for form in formats]
        for writer in writers:
            writer.write_table(piece)
    for writer in writers:
        writer.close()


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run a command, timing its steps by when their lines appear.

    Raises:
        RuntimeError: it failed; the message is what it printed.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    begins, lines = {"starting": began}, []
    for line in process.stdout:
        lines.append(line)
        print(f"{time.monotonic() - began:7.1f} s  {line}", end="", flush=True)
        if step := _STEP.match(line.rstrip()):
            begins.setdefault(step["name"].split(": settings")[0], time.monotonic())
    # of this process alone, where getrusage(RUSAGE_CHILDREN) is the largest of all
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("".join(lines))
    ends = [*[*begins.values()][1:], time.monotonic()]
    seconds = {name: end - begin for (name, begin), end in zip(begins.items(), ends, strict=True)}
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak_bytes, "".join(lines))


def _configure(file: Path) -> dict[str, str]:
    data = {"SOURCE": "table", "PATH": str(file), "CUSTOMER_ID": "customer_id", "TARGET": "churned"}
    settings = {f"CHURN_MLOPS__DATA__{key}": value for key, value in data.items()}
    settings |= {"CHURN_MLOPS__DATA__POSITIVE_LABEL": "yes", "COLUMNS": "200"}
    return settings | {"CHURN_MLOPS__ARTIFACTS__PATH": str(file.with_name(f"artifacts-{file.suffix[1:]}"))}


def _show(title: str, training: Run, loading: Run) -> None:
    print(f"\n{title}")
    for name, seconds in training.seconds.items():
        print(f"{seconds:8.1f} s  {name}")
    print(f"{sum(training.seconds.values()):8.1f} s  in all, pandas alone {sum(loading.seconds.values()):.1f} s")
    ours, other = training.peak_bytes / 2**20, loading.peak_bytes / 2**20
    print(f"peak memory {ours:,.0f} MiB; pandas loading the same file {other:,.0f} MiB: {ours / other:.1f} times\n")


if __name__ == "__main__":
    main()
