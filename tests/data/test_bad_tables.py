"""Tables as they really come: each is refused in one line, or what was wrong with it is counted and named."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from customer_tables import HEADER, ROWS, has_left, make_arrow, make_csv, settings_for, write_table

from churn_mlops.data.table import check_learnable, load_customers
from churn_mlops.errors import DataError
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.training.one_column import refuse_leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.config.settings import DataSettings

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bad:
    """A bad table and all that is said of it; "{file}" stands for its path, and "…" at the end for any ending."""

    kind: str
    content: str | bytes | pa.Table | None
    said: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = "customers.csv"


REFUSED = "refused: "
CANNOT_READ = "refused: Cannot read {file}: "

BAD_TABLES = (
    # the file
    Bad("missing file", None, (CANNOT_READ + "there is no such file (paths are relative to the working directory).",)),
    Bad(
        "directory",
        None,
        (CANNOT_READ + "it is a folder; name one .csv, .csv.gz or .parquet file.",),
        name="",
    ),
    Bad("empty file", "", (CANNOT_READ + "it is empty; a header and rows were expected.",)),
    Bad("blank file", "\n\n\n", (CANNOT_READ + "it holds no text; a header and rows were expected.",)),
    Bad("empty gzip", "", (CANNOT_READ + "it holds no text; a header and rows were expected.",), name="c.csv.gz"),
    Bad("header only", HEADER, (CANNOT_READ + "it has a header, but no rows.",)),
    Bad("header without a line end", HEADER.strip(), (CANNOT_READ + "it has a header, but no rows.",)),
    Bad(
        "Parquet without rows",
        make_arrow().slice(0, 0),
        (CANNOT_READ + "it has a header, but no rows.",),
        name="c.parquet",
    ),
    Bad(
        "unknown ending",
        make_csv(),
        (CANNOT_READ + "its ending is '.xlsx'; .csv, .csv.gz or .parquet was expected.",),
        name="customers.xlsx",
    ),
    Bad(
        "unreadable Parquet",
        b"PAR1 is how it began",
        (CANNOT_READ + "Parquet magic bytes not found…",),
        name="c.parquet",
    ),
    Bad("text named gzip", make_csv().encode(), (CANNOT_READ + "Not a gzipped file…",), name="c.csv.gz"),
    Bad(
        "gzip cut short",
        gzip.compress(make_csv(3000).encode())[:-40],
        (CANNOT_READ + "Compressed file ended before the end-of-stream marker was reached.",),
        name="c.csv.gz",
    ),
    Bad(
        "gzip overwritten",
        gzip.compress(make_csv().encode())[:10] + b"\xff" * 300,
        (CANNOT_READ + "Error -3 while decompressing data…",),
        name="c.csv.gz",
    ),
    # its text
    Bad(
        "latin-1",
        (make_csv() + "C9,1,café,No\n").encode("latin-1"),
        (CANNOT_READ + "line 152 is not UTF-8 text (byte 0xe9); save the file as UTF-8.",),
    ),
    Bad(
        "latin-1 on a ragged row",
        (make_csv(3000) + "C9,café\n").encode("latin-1"),
        (CANNOT_READ + "line 3,002 is not UTF-8 text (byte 0xe9); save the file as UTF-8.",),
    ),
    Bad(
        "UTF-16",
        make_csv().encode("utf-16"),
        (CANNOT_READ + "line 1 is not UTF-8 text (byte 0xff); save the file as UTF-8.",),
    ),
    Bad(
        "UTF-16 without its mark",
        make_csv().encode("utf-16-le"),
        (CANNOT_READ + "its header is not text; was it saved as UTF-16, or is it another kind of file?",),
    ),
    Bad(
        "another delimiter",
        make_csv(delimiter=";"),
        (
            CANNOT_READ + "its header is one field, 'customer_id;tenure;plan;churn'; "
            "if ';' separates them, set data.delimiter.",
        ),
    ),
    Bad(
        "a quote left open",
        make_csv(100) + 'C8,5,"a,No\n' + make_csv(50),
        (CANNOT_READ + "a quote that opens in row 101 is never closed.",),
    ),
    Bad(
        "a quote left open in the last column",
        make_csv(100) + 'C8,5,a,"No\n' + make_csv(50),
        (CANNOT_READ + "a quote that opens in row 101 is never closed.",),
    ),
    # its header
    Bad(
        "duplicate column names",
        make_csv(extra={"plan ": str, "tenure": str}).replace("plan ,", "plan,"),
        (CANNOT_READ + "its header names 'plan' more than once.",),
    ),
    Bad(
        "duplicate column names in Parquet",
        pa.Table.from_arrays([pa.array(["Yes"])] * 2, names=["churn", "churn"]),
        (CANNOT_READ + "its header names 'churn' more than once.",),
        name="c.parquet",
    ),
    Bad(
        "missing target column",
        make_csv(),
        (REFUSED + "data.target names the column 'churned', which the table does not have. The closest is 'churn'.",),
        {"target": "churned"},
    ),
    Bad(
        "missing customer id",
        make_csv(),
        (
            REFUSED + "data.customer_id names the column 'ID', which the table does not have. There are: "
            "'customer_id', 'tenure', 'plan', 'churn'.",
        ),
        {"customer_id": "ID"},
    ),
    Bad(
        "missing dropped column",
        make_csv(),
        (REFUSED + "data.drop names the column 'Plan', which the table does not have. The closest is 'plan'.",),
        {"drop": ["Plan"]},
    ),
    Bad(
        "missing column of a kind",
        make_csv(),
        (REFUSED + "data.kinds names the column 'tenur', which the table does not have. The closest is 'tenure'.",),
        {"kinds": {"tenur": "numeric"}},
    ),
    Bad(
        "target also dropped",
        make_csv(),
        (REFUSED + "data.target ('churn') is also named by data.customer_id or data.drop.",),
        {"drop": ["churn"]},
    ),
    Bad(
        "path without source",
        make_csv(),
        (REFUSED + "data.path is '{file}' but data.source is 'sample'; set data.source to 'table'.",),
        {"source": "sample"},
    ),
    # its target
    Bad(
        "positive label absent",
        make_csv(),
        (
            REFUSED + "data.positive_label is 'yes', which the target 'churn' never is; its values are "
            "'No' (90 rows), 'Yes' (60 rows).",
        ),
        {"positive_label": "yes"},
    ),
    Bad(
        "negative label absent",
        make_csv(),
        (
            REFUSED + "data.negative_label is 'Stayed', which the target 'churn' never is; its values are "
            "'No' (90 rows), 'Yes' (60 rows).",
        ),
        {"negative_label": "Stayed"},
    ),
    Bad(
        "both labels the same",
        make_csv(),
        (REFUSED + "data.positive_label and data.negative_label are both 'Yes'; they must differ.",),
        {"negative_label": "Yes"},
    ),
    Bad(
        "target with three values",
        make_csv() + "C9,1,a,Maybe\n",
        (
            REFUSED + "The target 'churn' has 3 values ('No' (90 rows), 'Yes' (60 rows), 'Maybe' (1 rows)) where two "
            "were expected; set data.negative_label to the one that means the customer stayed, and the others are "
            "rejected.",
        ),
    ),
    Bad(
        "target with three values, two of them named",
        make_csv() + "C9,1,a,Maybe\n",
        ("row 151: the target 'churn' is 'Maybe'; 'Yes' or 'No' was expected.",),
        {"negative_label": "No"},
    ),
    Bad(
        "targets missing",
        make_csv() + "C8,1,a,\nC9,1,a, N/A \n",
        ("row 151: the target 'churn' is missing.", "row 152: the target 'churn' is missing."),
    ),
    Bad(
        "every target missing",
        make_csv(churn=lambda row: ""),
        (REFUSED + "data.positive_label is 'Yes', which the target 'churn' never is; its values are all missing.",),
    ),
    Bad(
        "all one class",
        make_csv(churn=lambda row: "Yes"),
        (REFUSED + "The target has one value on all 150 usable rows; both outcomes are needed.",),
    ),
    Bad(
        "30 rows",
        make_csv(30),
        (REFUSED + "customers.csv has 12 churners among 30 usable rows; at least 50 are needed.",),
    ),
    Bad(
        "fewer than 50 churners",
        make_csv(200, churn=lambda row: "Yes" if row < 49 else "No") + "C9,1,a,\n",
        (REFUSED + "customers.csv has 49 churners among 200 usable rows (1 rejected); at least 50 are needed.",),
    ),
    Bad(
        "fewer than 50 stayers",
        make_csv(200, churn=lambda row: "No" if row < 49 else "Yes"),
        (REFUSED + "customers.csv has 49 customers who stayed among 200 usable rows; at least 50 are needed.",),
    ),
    # its rows
    Bad(
        "ragged rows",
        HEADER + "C1,5\n\nC2,5,a,No\n\n\nC3,5,a,No,more\n" + make_csv().removeprefix(HEADER),
        ("row 1: the row has 2 fields; the header has 4.", "row 3: the row has 5 fields; the header has 4."),
    ),
    Bad(
        "ragged rows after line ends in quotes",
        HEADER + 'C1,5,"a\n\nb",No\nC2,5\n' + make_csv().removeprefix(HEADER) + 'C3,5,"a\nb",No,more\nC4\nC5,5,a,No\n',
        (
            "row 2: the row has 2 fields; the header has 4.",
            "row 153: the row has 5 fields; the header has 4. It spans 2 lines; was a quote left open?",
            "row 154: the row has 1 fields; the header has 4.",
        ),
    ),
    Bad(
        "every row ragged",
        make_csv().replace("Yes\n", "Yes,\n").replace("No\n", "No,\n"),
        (CANNOT_READ + "none of its 150 rows fits the header: in row 1, the row has 5 fields; the header has 4.",),
    ),
    Bad(
        "infinities",
        make_csv(extra={"spend": lambda row: {3: "inf", 5: "-Infinity", 7: "1e999"}.get(row, row % 11)}),
        (
            "row 4: the column 'spend' is 'inf'; a finite number was expected.",
            "row 6: the column 'spend' is '-Infinity'; a finite number was expected.",
            "row 8: the column 'spend' is '1e999'; a finite number was expected.",
        ),
    ),
    Bad(
        "infinities in Parquet",
        make_arrow({"spend": pa.array([float("inf") if row == 3 else row % 11 for row in range(ROWS)])}),
        ("row 4: the column 'spend' is inf; a finite number was expected.",),
        name="c.parquet",
    ),
    Bad(
        "mixed types, few of them no numbers",
        make_csv(extra={"spend": lambda row: "unknown" if row % 50 == 1 else row % 11}),
        (
            "row 2: the column 'spend' is 'unknown'; a number was expected.",
            "row 52: the column 'spend' is 'unknown'; a number was expected.",
            "row 102: the column 'spend' is 'unknown'; a number was expected.",
            "note 'spend': text read as numbers",
        ),
    ),
    Bad(
        "mixed types, many of them no numbers",
        make_csv(extra={"spend": lambda row: "unknown" if row % 10 == 1 else row % 11}),
        ("note 'spend': read as categories, since 10% of its values are no numbers (such as 'unknown')",),
    ),
    Bad(
        "no row left",
        make_csv(),
        (
            REFUSED + "customers.csv has no rows that can be used: 0 usable rows (150 rejected); "
            "in row 1, the column 'plan' is 'a'; a number was expected.",
        ),
        {"kinds": {"plan": "numeric"}},
    ),
    # its columns
    Bad(
        "10,000-level text",
        make_csv(10_000, extra={"comment": lambda row: f"comment {row}"}),
        (
            "left out 'comment': it looks like an identifier or free text: "
            "10,000 different texts, none on more than 1 rows",
        ),
    ),
    Bad(
        "dates as text",
        make_csv(extra={"since": lambda row: f"2024-{row % 12 + 1:02}-01"}),
        ("left out 'since': it holds dates, which are no features of a customer table",),
    ),
    Bad(
        "dates with changing offsets",
        make_csv(extra={"since": lambda row: f"2024-{row % 12 + 1:02}-01T10:00:00+0{row % 2 + 1}:00"}),
        ("left out 'since': it holds dates, which are no features of a customer table",),
    ),
    Bad(
        "dates in Parquet",
        make_arrow({"since": pa.array(range(ROWS), pa.timestamp("us", tz="UTC"))}),
        ("left out 'since': it holds dates, which are no features of a customer table",),
        name="c.parquet",
    ),
    Bad(
        "nested Parquet column",
        make_arrow({"orders": pa.array([[1, 2]] * ROWS)}),
        ("left out 'orders': it holds list<element: int64> values",),
        name="c.parquet",
    ),
    Bad(
        "UUIDs in Parquet",
        make_arrow({"device": pa.array([bytes([row] * 16) for row in range(ROWS)], pa.binary(16))}),
        ("left out 'device': it holds fixed_size_binary[16] values",),
        name="c.parquet",
    ),
    Bad(
        "numbers that name the row",
        make_csv(extra={"row_no": lambda row: row * 3, "position": lambda row: row + 1000}),
        (
            "left out 'row_no': it looks like an identifier: a different whole number on every row",
            "left out 'position': it looks like an identifier: a different whole number on every row",
        ),
    ),
    Bad(
        "a column without a name",
        make_csv(extra={"": lambda row: row * row}),
        ("left out '': it has no name",),
    ),
    Bad(
        "constant columns",
        make_csv(extra={"country": lambda row: "AT", "active": lambda row: "TRUE", "visits": lambda row: 3}),
        (
            "left out 'country': every value is 'AT'",
            "left out 'active': every value is True",
            "left out 'visits': every value is 3.0",
        ),
    ),
    Bad(
        "all missing",
        make_csv(extra={"notes": lambda row: "" if row % 2 else " N/A "}),
        ("left out 'notes': every value is missing",),
    ),
    Bad(
        "numbers with separators",
        make_csv(extra={"spend": lambda row: f'"{row * 997 + 1000:,}"'}),
        (
            "left out 'spend': it looks like an identifier or free text: "
            "150 different texts, none on more than 1 rows; "
            "its numbers have separators or signs (such as '1,000'); write 1234.5",
        ),
    ),
    Bad(
        "an identifier with a few texts costs no row",
        make_csv(extra={"account_id": lambda row: f"X{row}" if row % 50 == 1 else row * 3}),
        (
            "left out 'account_id': it looks like an identifier: a different whole number on every row; "
            "text read as numbers",
        ),
    ),
    Bad(
        "no column left",
        "customer_id,churn\n" + "".join(f"C{row},{has_left(row)}\n" for row in range(ROWS)),
        (REFUSED + "customers.csv has no column that can be a feature (there is no other).",),
    ),
    # its leaks
    Bad(
        "leaky column",
        make_csv(extra={"status": lambda row: "closed" if row % 5 < 2 else "open"}),
        (REFUSED + "The column 'status' all but decides the target (ROC AUC 1.000 on its own)…",),
    ),
    Bad(
        "leaky number",
        make_csv(extra={"balance": lambda row: row * 7 % 37 + (0 if row % 5 < 2 else 1000)}),
        (REFUSED + "The column 'balance' all but decides the target (ROC AUC 1.000 on its own)…",),
    ),
    Bad(
        "leak by being missing",
        make_csv(extra={"refund": lambda row: row % 11 if row % 5 < 2 else ""}),
        (REFUSED + "The column 'refund' by being missing or not all but decides the target (ROC AUC 1.000…",),
    ),
    Bad(
        "leak by a date that only churners have",
        make_csv(extra={"cancelled_on": lambda row: f"2024-01-{row % 28 + 1:02}" if row % 5 < 2 else ""}),
        (REFUSED + "The column 'cancelled_on' by being missing or not all but decides the target (ROC AUC 1.000…",),
    ),
    Bad(
        "leak by a list that only churners have",
        make_arrow({"complaints": pa.array([[row] if row % 5 < 2 else None for row in range(ROWS)])}),
        (REFUSED + "The column 'complaints' by being missing or not all but decides the target (ROC AUC 1.000…",),
        name="c.parquet",
    ),
    Bad(
        "leaks that are allowed",
        make_csv(
            extra={
                "status": lambda row: "closed" if row % 5 < 2 else "open",
                "cancelled_on": lambda row: f"2024-01-{row % 28 + 1:02}" if row % 5 < 2 else "",
            }
        ),
        ("left out 'cancelled_on': it holds dates, which are no features of a customer table",),
        {"allow_leaky": ["status", "cancelled_on"]},
    ),
)


@pytest.mark.parametrize("bad", BAD_TABLES, ids=lambda bad: bad.kind.replace(" ", "-"))
def test_a_bad_table_is_refused_in_one_line_or_counted(bad: Bad, tmp_path: Path) -> None:
    """Exactly this is said of each kind of bad table, and each sentence is one line."""
    path = tmp_path / bad.name
    if bad.content is not None:
        write_table(path, bad.content)
    said = what_is_said(settings_for(path, **bad.settings))
    expected = [sentence.replace("{file}", str(path)) for sentence in bad.said]
    assert [shorten(one, to) for one, to in zip(said, expected, strict=False)] + said[len(expected) :] == expected
    assert [one for one in said if len(one.splitlines()) > 1] == []


def test_a_file_without_permission_is_refused_in_one_line(tmp_path: Path) -> None:
    """A table that this user may not read is named, with the reason."""
    path = write_table(tmp_path / "customers.csv", make_csv())
    path.chmod(0)
    with as_nobody():
        said = what_is_said(settings_for(path))
    assert said == [f"refused: Cannot read {path}: permission denied; this user may not read it."]


def test_a_parquet_file_without_permission_is_refused_in_one_line(tmp_path: Path) -> None:
    """The same holds where another library opens the file."""
    path = write_table(tmp_path / "customers.parquet", make_arrow())
    tmp_path.chmod(0o755)
    path.chmod(0)
    with as_nobody():
        said = what_is_said(settings_for(path))
    assert said == [f"refused: Cannot read {path}: permission denied; this user may not read it."]


@pytest.mark.parametrize(
    "kind", ["missing file", "every row ragged", "30 rows", "leak by a date that only churners have"]
)
def test_the_command_ends_with_2_and_one_line(kind: str, tmp_path: Path) -> None:
    """`train_baseline` says the same sentence on stderr, shows no traceback, and registers nothing."""
    bad = next(one for one in BAD_TABLES if one.kind == kind)
    path = tmp_path / bad.name
    if bad.content is not None:
        write_table(path, bad.content)
    done = subprocess.run(
        [sys.executable, "-m", "churn_mlops.training.train_baseline"],
        cwd=tmp_path,
        env={**os.environ, "CHURN_MLOPS_CONFIG": str(REPOSITORY / "config" / "config.yaml"), **variables(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    sentence = bad.said[0].replace("{file}", str(path)).removeprefix(REFUSED)
    lines = done.stderr.splitlines()
    assert (done.returncode, [shorten(line, f"error: {sentence}") for line in lines]) == (2, [f"error: {sentence}"])
    assert list((tmp_path / "artifacts" / "models").iterdir()) == []


def what_is_said(settings: DataSettings) -> list[str]:
    """Read, check and look for leaks as a training job does; give every sentence for the operator."""
    try:
        table = load_customers(settings)
        check_learnable(table)
        fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned)
        refuse_leaks(table, fold, settings.allow_leaky)
    except DataError as error:
        return [f"{REFUSED}{error}"]
    return [
        *(f"row {reject.row}: {reject.reason}" for reject in table.rejects),
        *(f"left out {column!r}: {reason}" for column, reason in table.left_out.items()),
        *(f"note {column!r}: {note}" for column, note in table.notes.items()),
    ]


def shorten(sentence: str, expected: str) -> str:
    """Cut a sentence where an expected one leaves its ending open."""
    start = expected.removesuffix("…")
    return expected if expected != start and sentence.startswith(start) else sentence


def variables(path: Path) -> dict[str, str]:
    """Name a table in the environment, as an operator who edits no file does."""
    keys = {"SOURCE": "table", "PATH": str(path), "TARGET": "churn", "POSITIVE_LABEL": "Yes"}
    return {f"CHURN_MLOPS__DATA__{key}": value for key, value in (keys | {"CUSTOMER_ID": "customer_id"}).items()}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up what root may do, where the tests are run by root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
