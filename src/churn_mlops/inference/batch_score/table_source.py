"""Customers from tables: CSV, gzipped CSV and Parquet, one file, a folder of them, or those that a pattern matches."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.data.reading import check_encoding, check_file, explain_unreadable, read_header
from churn_mlops.errors import DataFileError, MissingColumn
from churn_mlops.inference.batch_score.csv_batches import read_csv_batches
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.source import CustomerBatch, Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ENDINGS: Final = (".csv", ".csv.gz", ".parquet")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
"""What Spark and Hive write for a missing value."""


def find_files(path: str) -> list[Path]:
    """List the files of a table in the order of their names: one file, a folder's, or those that a pattern matches.

    Files and folders whose names begin with `.` or `_` are left out of folders, as Spark and Hive do.

    Raises:
        DataFileError: there are none.
    """
    place = Path(path)
    if place.is_dir():
        found = [file for file in sorted(place.rglob("*")) if file.name.endswith(ENDINGS) and _is_shown(file, place)]
        if not found:
            raise DataFileError(place, "the folder holds no .csv, .csv.gz or .parquet file.")
        return found
    if place.exists() or not glob.has_magic(path):
        return [place]
    found = [Path(name) for name in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207 - takes absolute patterns
    if not found:
        raise DataFileError(place, "no file matches the pattern.")
    return found


def _is_shown(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def read_folder_values(file: Path) -> dict[str, str | None]:
    """Read the columns that folders named `column=value` give all rows of a file, as Spark and Hive write them."""
    pairs = (part.partition("=") for part in file.parent.parts if "=" in part)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, _, value in pairs if name}


def read_names(file: Path, delimiter: str) -> list[str]:
    """Read the names of a file's columns, and of those that its folders give it.

    Raises:
        DataFileError: it cannot be read.
    """
    return list(dict.fromkeys([*_read_own_names(file, delimiter), *read_folder_values(file)]))


def _read_own_names(file: Path, delimiter: str) -> list[str]:
    with explain_unreadable(file):
        check_file(file)
        if file.suffix == ".parquet":
            return list(pa_parquet.read_schema(file).names)
        try:
            return read_header(file, delimiter)
        except UnicodeDecodeError:
            check_encoding(file)  # which names the line
            raise


class TableSource:
    """The customers of some files.

    Args:
        files: in the order in which they are read.
        features: the columns that there have to be.
        customer_id: the column that says who a customer is.
        customer_value: the column that says what each customer is worth; None where none does.
        time: the column that says as of when a row was true; None where none does.
        delimiter: of CSV files.

    Raises:
        DataError: a file cannot be read, or lacks a column.
    """

    def __init__(
        self,
        files: Sequence[Path],
        features: Sequence[str],
        customer_id: str,
        customer_value: str | None = None,
        time: str | None = None,
        delimiter: str = ",",
    ) -> None:
        self._files = tuple(files)
        self._delimiter = delimiter
        self.customer_id, self.customer_value, self.snapshot_date = customer_id, customer_value, time
        named = [customer_id, *features, *filter(None, (customer_value, time))]
        self._columns = tuple(dict.fromkeys(named))
        for file in self._files:
            self._check_columns(file, features)
        self._check_types()

    @cached_property
    def fingerprint(self) -> str:
        """Names the files, their sizes and when they were changed, and what their columns mean."""
        stats = [(str(file), status.st_size, status.st_mtime_ns) for file in self._files for status in (file.stat(),)]
        roles = self.customer_id, self.customer_value, self.snapshot_date
        return hashlib.sha256(repr((stats, self._columns, roles, self._delimiter)).encode()).hexdigest()

    def batches(self, rows: int, after: Position | None) -> Iterator[CustomerBatch]:
        """Give the customers that follow a position, or all; no batch has customers of two files."""
        first, skipped = after or (0, 0)
        sizes = [file.stat().st_size for file in self._files]
        for place in range(first, len(self._files)):
            file = self._files[place]
            before, share = sum(sizes[:place]) / sum(sizes), sizes[place] / sum(sizes)
            own = set(_read_own_names(file, self._delimiter))
            given = {name: value for name, value in read_folder_values(file).items() if name not in own}
            columns = [name for name in self._columns if name not in given]
            read = self._read_parquet if file.suffix == ".parquet" else self._read_csv
            with explain_unreadable(file):
                for batch in read(place, columns, rows, skipped if place == first else 0):
                    customers = self._complete(batch.customers, given)
                    yield replace(batch, customers=customers, done=before + share * batch.done)

    def _complete(self, customers: pa.RecordBatch, given: Mapping[str, str | None]) -> pa.RecordBatch:
        """Add the columns that the file's folders give."""
        if not given:
            return customers
        wanted = {name: pa.repeat(pa.scalar(given[name], pa.string()), len(customers)) for name in given}
        return pa.RecordBatch.from_pydict(
            {name: wanted[name] if name in wanted else customers[name] for name in self._columns}
        )

    def _check_columns(self, file: Path, features: Sequence[str]) -> None:
        names = read_names(file, self._delimiter)
        for column in self._columns:
            if column not in names:
                names_it = "the model" if column in features else "an option or the configuration"
                raise MissingColumn(f"{file}: {names_it}", column, names)

    def _check_types(self) -> None:
        """Refuse ids or snapshot dates that would become two types, which would be no column of the output."""
        types: dict[str, pa.DataType] = {}
        become = {self.customer_id: _become_id, self.snapshot_date: _become_date}
        for file in self._files:
            schema = pa_parquet.read_schema(file) if file.suffix == ".parquet" else pa.schema([])
            for column in filter(None, (self.customer_id, self.snapshot_date)):
                found = schema.field(column).type if column in schema.names else pa.string()
                expected = types.setdefault(column, found)
                if become[column](found) != become[column](expected):
                    problem = f"the column {column!r} holds {found} values; those of {self._files[0]} are {expected}."
                    raise DataFileError(file, problem)

    def _read_csv(self, place: int, columns: Sequence[str], rows: int, skipped: int) -> Iterator[CustomerBatch]:
        return read_csv_batches(self._files[place], place, columns, self._delimiter, rows, skipped)

    def _read_parquet(self, place: int, columns: Sequence[str], rows: int, skipped: int) -> Iterator[CustomerBatch]:
        path = self._files[place]
        schema = pa_parquet.read_schema(path)
        texts = [name for name in columns if name != self.customer_id and _is_text(schema.field(name).type)]
        # neither mapped nor read ahead: both would hold more of the file than what is looked at
        with pa_parquet.ParquetFile(path, read_dictionary=texts, pre_buffer=False, buffer_size=1 << 20) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            first = int(np.searchsorted(ends, skipped, side="right"))
            start = int(ends[first - 1]) if first else 0
            groups = list(range(first, len(sizes)))
            pieces = file.iter_batches(batch_size=rows, row_groups=groups, columns=[*columns], use_threads=False)
            for customers in cut(pieces, rows, skipped - start):
                numbers = np.arange(skipped + 1, skipped + len(customers) + 1, dtype=np.int64)
                skipped += len(customers)
                yield CustomerBatch(customers, str(path), numbers, (), (place, skipped), skipped / int(ends[-1]))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _become_id(kind: pa.DataType) -> pa.DataType:
    """Say of what type ids are among the answers: whole numbers stay as they are, all others become texts."""
    return kind if pa.types.is_integer(kind) else pa.string()


def _become_date(kind: pa.DataType) -> pa.DataType:
    """Say of what type snapshot dates are among the answers: texts are read as timestamps."""
    return pa.date32() if pa.types.is_date(kind) else pa.timestamp("us", "UTC")
