"""The rejects file: what was left out and why, whole or not at all."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from churn_mlops.data.rejects import Reject, write_rejects

if TYPE_CHECKING:
    from pathlib import Path

REJECTS = (
    Reject(3, "the row has 2 fields; the header has 4.", '1,"a, b"'),
    Reject(9, "the target 'churn' is missing.", "two\nlines,é"),
)


def test_rejects_are_read_back_as_written(tmp_path: Path) -> None:
    """Row, reason and text survive delimiters, quotes, line ends and letters of any script."""
    write_rejects(tmp_path / "rejects" / "customers.csv", REJECTS)
    with (tmp_path / "rejects" / "customers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["row", "reason", "text"], *([str(r.row), r.reason, r.text] for r in REJECTS)]


def test_no_rejects_leave_a_header(tmp_path: Path) -> None:
    """A run that rejected nothing says so: the file of an earlier run does not stay."""
    path = tmp_path / "customers.csv"
    write_rejects(path, REJECTS)
    write_rejects(path, ())
    assert path.read_text(encoding="utf-8") == "row,reason,text\n"


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    """The file is replaced, not rewritten: who has it open reads the old content to the end."""
    path = tmp_path / "customers.csv"
    write_rejects(path, ())
    with path.open(encoding="utf-8") as before:
        write_rejects(path, REJECTS)
        assert before.read() == "row,reason,text\n"
    assert [file.name for file in tmp_path.iterdir()] == ["customers.csv"]
