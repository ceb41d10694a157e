"""Reads a CSV, gzipped CSV or Parquet file as columns, setting aside rows that do not fit the header."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from churn_mlops.data.rejects import Reject
from churn_mlops.errors import DataFileError, UnclosedQuote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its file.

    Attributes:
        columns: the rows that fit the header; every column of a CSV file is text, untrimmed.
        row_numbers: int64 [rows], the place of each row in the file, the first after the header being 1.
        rejects: the rows that do not fit the header.
        delimiter: what joins a row's fields when it is shown.
    """

    columns: pa.Table
    row_numbers: npt.NDArray[np.int64]
    rejects: tuple[Reject, ...] = ()
    delimiter: str = ","


def read_table(path: Path, delimiter: str = ",") -> RawTable:
    """Read a file by its ending: .csv, .csv.gz or .parquet.

    Raises:
        DataFileError: the file is missing, a folder, empty, unreadable, of another kind, wrongly encoded, or its
            header is unusable; the sentence names the file and what was expected.
    """
    with explain_unreadable(path):
        check_file(path)
        table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, delimiter)
    if table.columns.num_rows == 0:
        raise DataFileError(path, _no_rows(table.rejects))
    return table


@contextmanager
def explain_unreadable(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into the sentence that names it.

    Raises:
        DataFileError: instead of the errors of the system and of the libraries that read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataFileError(path, "there is no such file (paths are relative to the working directory).") from error
    except PermissionError as error:
        raise DataFileError(path, "permission denied; this user may not read it.") from error
    except (OSError, EOFError, csv.Error, zlib.error, pa.ArrowException) as error:
        raise DataFileError(path, f"{_one_line(error)}.") from error


def check_file(path: Path) -> None:
    """Refuse what is no file, is empty, or is of another kind by its name.

    Raises:
        DataFileError: it is.
    """
    if path.is_dir():
        raise DataFileError(path, "it is a folder; name one .csv, .csv.gz or .parquet file.")
    if path.stat().st_size == 0:
        raise DataFileError(path, "it is empty; a header and rows were expected.")
    if not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        raise DataFileError(path, f"its ending is {path.suffix!r}; .csv, .csv.gz or .parquet was expected.")


def _read_csv(path: Path, delimiter: str) -> RawTable:
    last_line = check_encoding(path)
    names = read_header(path, delimiter)
    rejects: list[Reject] = []

    def set_aside(row: pa_csv.InvalidRow) -> str:
        rejects.append(describe_invalid_row(row))
        return "skip"

    with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
        columns = pa_csv.read_csv(
            stream,
            # row numbers are only known to a reader that goes through the file in order
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    rows = columns.num_rows + len(rejects)
    last_reject = rejects[-1] if rejects and rejects[-1].row == rows else None
    if is_quote_open(columns.columns[-1][-1].as_py() if columns.num_rows else "", last_reject, last_line):
        raise UnclosedQuote(path, rows)
    aside = np.array([reject.row for reject in rejects], dtype=np.int64)
    everything = np.arange(1, columns.num_rows + len(aside) + 1, dtype=np.int64)
    return RawTable(columns, np.setdiff1d(everything, aside, assume_unique=True), tuple(rejects), delimiter)


def describe_invalid_row(row: pa_csv.InvalidRow) -> Reject:
    """Say what is wrong with a row that has more or fewer fields than the header."""
    reason = f"the row has {row.actual_columns} fields; the header has {row.expected_columns}."
    if _spans_lines(row.text):
        reason += f" It spans {len(row.text.splitlines()):,} lines; was a quote left open?"
    return Reject(row.number - 1, reason, row.text)


def read_header(path: Path, delimiter: str) -> list[str]:
    """Read the names of a CSV file's columns.

    Raises:
        DataFileError: there are none, two are the same, they are no text, or no row follows.
    """
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
        names = next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
        has_rows = any(line.strip() for line in file)
    if not names:
        raise DataFileError(path, "it holds no text; a header and rows were expected.")
    _check_names(path, names)
    if not has_rows:
        raise DataFileError(path, _no_rows(()))
    if len(names) == 1:
        other = next((mark for mark in ";\t|," if mark != delimiter and mark in names[0]), None)
        if other:
            raise DataFileError(
                path, f"its header is one field, {names[0]!r}; if {other!r} separates them, set data.delimiter."
            )
    return names


def _read_parquet(path: Path) -> RawTable:
    _check_names(path, pa_parquet.read_schema(path).names)
    columns = pa_parquet.read_table(path)
    return RawTable(columns, np.arange(1, columns.num_rows + 1, dtype=np.int64))


def _check_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataFileError(path, f"its header names {', '.join(map(repr, twice))} more than once.")
    if any("\x00" in name or "\ufffd" in name for name in names):
        raise DataFileError(path, "its header is not text; was it saved as UTF-16, or is it another kind of file?")


def check_encoding(path: Path) -> str:
    """Read a CSV file through; give the last line that is not blank.

    Raises:
        DataFileError: a line is not UTF-8; the sentence names it.
    """
    last = b""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte {line[error.start]:#04x}"
                raise DataFileError(
                    path, f"line {number:,} is not UTF-8 text ({byte}); save the file as UTF-8."
                ) from error
            last = line.strip() or last
    return last.decode()


def is_quote_open(last_field: str, last_reject: Reject | None, last_line: str) -> bool:
    """Whether a file ends inside a quoted field, which then holds every line since the quote.

    Args:
        last_field: of the last row.
        last_reject: the last row, if it does not fit the header.
        last_line: of the file.
    """
    if last_reject:
        return _spans_lines(last_reject.text) and last_reject.text.count('"') % 2 == 1
    return _spans_lines(last_field) and not last_line.endswith('"')


def _no_rows(rejects: Sequence[Reject]) -> str:
    if not rejects:
        return "it has a header, but no rows."
    return f"none of its {len(rejects):,} rows fits the header: in row {rejects[0].row}, {rejects[0].reason}"


def _spans_lines(text: str) -> bool:
    return len(text.strip().splitlines()) > 1


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
