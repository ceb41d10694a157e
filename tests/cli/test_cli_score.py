"""`churn-mlops score`: what it writes and says, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from churn_mlops.data.sample import read_sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.config.settings import Settings

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def score(run: Run, sample_settings: Settings, tmp_path: Path) -> Run:
    """The command on a table of the sample's customers, `customers.csv`, with the sample version."""
    customers = read_sample().columns
    ids = pa.array([f"C{row}" for row in range(len(customers))])
    pa_csv.write_csv(customers.append_column("customer_id", ids), tmp_path / "customers.csv")

    def score_customers(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run("score", *arguments, ARTIFACTS__PATH=str(sample_settings.artifacts.path))

    return score_customers


def test_everyone_is_scored(score: Run, tmp_path: Path) -> None:
    """Into the file that was named, with a summary of who was; nothing else is left beside it."""
    done = score("customers.csv", "--output", "out/scores.parquet", "--reasons", "2")
    assert done.returncode == 0, done.stderr
    assert "7,043 customers scored by" in done.stdout
    assert "written: out/scores.parquet" in done.stdout
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores["customer_id"].tolist() == [f"C{row}" for row in range(7043)]
    assert "reason_2" in scores
    assert "reason_3" not in scores
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["scores.parquet", "scores.rejects.csv"]


def test_the_best_are_written_best_first(score: Run, tmp_path: Path) -> None:
    """As many as were asked for."""
    done = score("customers.csv", "--output", "contact.csv", "--top", "25")
    assert done.returncode == 0, done.stderr
    assert "contact.csv, the 25 best by probability" in done.stdout
    contact = pd.read_csv(tmp_path / "contact.csv")
    assert len(contact) == 25
    assert contact["churn_probability"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody.csv", "--output", "s.csv"), "there is no such file"),
        (("customers.csv", "--output", "s.csv", "--id", "customerid"), "The closest is 'customer_id'"),
        (("customers.csv", "--output", "s.xlsx"), "'.xlsx'; .parquet or .csv was expected"),
        (("customers.csv", "--output", "customers.csv"), "lies within the input"),
        ((".", "--output", "s.csv"), "lies within the input"),
        (("customers.csv", "--output", "config"), "is a folder"),
        (("customers.csv", "--output", "s.csv", "--top", "5", "--by", "expected_profit"), "it expects no profit"),
        (("customers.csv", "--output", "s.csv", "--version", "previous"), "No version is previous"),
        (("customers.csv", "--output", "s.csv", "--snapshot-date", "tenur"), "The closest is 'tenure'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(score: Run, arguments: tuple[str, ...], said: str) -> None:
    """With exit code 2 and no traceback."""
    done = score(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_it_runs_as_a_module() -> None:
    """`python -m churn_mlops.inference.batch_score` is the same command."""
    command = [sys.executable, "-m", "churn_mlops.inference.batch_score", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--snapshot-date" in done.stdout
