"""`churn-mlops sample events`: writes a log, tells what is in it, and refuses in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pa_parquet
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_log_is_written_and_told_of(run: Run, tmp_path: Path) -> None:
    """Where it is and how much of what it holds, one line for each table."""
    done = run("sample", "events", "--output", "data/log", "--customers", "50", "--days", "200")
    assert (done.returncode, done.stderr) == (0, "")
    *progress, events, customers, cancellations = done.stdout.splitlines()
    counts = [
        pa_parquet.read_table(tmp_path / "data" / "log" / name).num_rows
        for name in ("events", "customers.parquet", "cancellations.parquet")
    ]
    assert progress == [f"[20/20] {counts[0]:,} events written"]
    assert events == f"data/log/events/*.parquet: {counts[0]:,} events of 50 customers"
    assert customers.startswith(f"data/log/customers.parquet: {counts[1]:,} rows")
    assert cancellations == f"data/log/cancellations.parquet: {counts[2]:,} customers who left"


def test_the_help_says_what_is_in_it(run: Run) -> None:
    """Tables, options with defaults, and lines to try."""
    shown = run("sample", "events", "--help").stdout
    words = (
        "customers.parquet",
        "cancellations.parquet",
        "--output",
        "730",
        "10,000",
        "--dirty",
        "sample events --output",
    )
    assert [word for word in words if word not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--customers", "-3"), "--customers is -3"),
        (("--events", "0"), "--events is 0"),
        (("--days", "30"), "--days is 30: it should be 180 to 3650"),
        (("--customers", "5", "--events", "5"), "either --customers or --events"),
        (("--seed", "-1"), "--seed is -1"),
    ],
)
def test_what_cannot_be_written_is_one_line(arguments: tuple[str, ...], problem: str, run: Run, tmp_path: Path) -> None:
    """The value and what it should be, exit code 2, and no folder."""
    done = run("sample", "events", "--output", "log", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert problem in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_folder_that_holds_something_is_refused(run: Run, tmp_path: Path) -> None:
    """Nothing in it is touched."""
    done = run("sample", "events", "--output", "config")
    assert done.returncode == 2
    assert "config is not empty, and nothing in it is overwritten" in done.stderr
    assert [path.name for path in (tmp_path / "config").iterdir()] == ["config.yaml"]
