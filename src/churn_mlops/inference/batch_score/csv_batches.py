"""Reads a CSV file piece by piece, every field as text, with the number of each row and the rows that are none."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from churn_mlops.data.reading import check_encoding, describe_invalid_row, is_quote_open, read_header
from churn_mlops.errors import UnclosedQuote
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.source import CustomerBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from churn_mlops.data.rejects import Reject

_BLOCK_BYTES: Final = 1 << 24


def read_csv_batches(
    path: Path, place: int, columns: Sequence[str], delimiter: str, rows: int, skipped: int
) -> Iterator[CustomerBatch]:
    """Give the rows of a file after the first `skipped` that fit its header; those before are read, too.

    Args:
        path: ends in .csv or .csv.gz.
        place: of the file among others.
        columns: those that are wanted.
        delimiter: between two fields.
        rows: how many a batch has at most.
        skipped: how many fitting rows are not wanted.

    Raises:
        DataFileError: it is no CSV in UTF-8.
    """
    invalid: deque[Reject] = deque()

    def set_aside(row: pa_csv.InvalidRow) -> str:
        invalid.append(describe_invalid_row(row))
        return "skip"

    total_bytes = path.stat().st_size
    # a quote that is never closed shows in a row's last field
    last_column = read_header(path, delimiter)[-1]
    read_columns = [*(column for column in columns if column != last_column), last_column]
    last = None
    number = read = 0
    with pa.OSFile(str(path)) as raw:
        stream = pa.CompressedInputStream(raw, "gzip") if path.suffix == ".gz" else raw
        try:
            reader = pa_csv.open_csv(
                stream,
                # row numbers are only known to a reader that goes through the file in order
                read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
                parse_options=pa_csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(read_columns, pa.string()),
                    include_columns=read_columns,
                    strings_can_be_null=False,
                ),
            )
            for last in cut(reader, rows):
                numbers, number, between = _number(invalid, number, len(last))
                read += len(last)
                if read > skipped:
                    done = min(1.0, raw.tell() / total_bytes)
                    yield CustomerBatch(last.select(columns), str(path), numbers, tuple(between), (place, read), done)
        except pa.ArrowInvalid:
            check_encoding(path)
            raise
    _refuse_open_quote(path, last, invalid[-1] if invalid else None, number + len(invalid))
    if invalid or last is None:
        nobody = pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in columns})
        yield CustomerBatch(nobody, str(path), np.array([], dtype=np.int64), tuple(invalid), (place, read), 1.0)


def _refuse_open_quote(path: Path, batch: pa.RecordBatch | None, reject: Reject | None, row: int) -> None:
    """Look for one in the last row: that of the last batch, or the reject behind it."""
    last_field = "" if batch is None else batch.columns[-1][-1].as_py()
    suspect = reject.text if reject else last_field
    if "\n" in suspect.strip() and is_quote_open(last_field, reject, check_encoding(path)):
        raise UnclosedQuote(path, row)


def _number(invalid: deque[Reject], number: int, rows: int) -> tuple[npt.NDArray[np.int64], int, list[Reject]]:
    """Number the next rows that fit, after the one of this number; give also the last number, and those between."""
    between: list[Reject] = []
    last = number + rows
    while invalid and invalid[0].row <= last:
        between.append(invalid.popleft())
        last += 1
    everything = np.arange(number + 1, last + 1, dtype=np.int64)
    aside = np.array([reject.row for reject in between], dtype=np.int64)
    return np.setdiff1d(everything, aside, assume_unique=True), last, between
