"""How answers are written: as parts of a Parquet or a CSV file that make one file when they are put together."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from churn_mlops.inference.batch_score.parquet_footer import MAGIC, join_footer, shift_footer, split_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMULA: Final = r"^[=+\-@\t\r＝＋－＠]"  # noqa: RUF001 - those that spreadsheets take for them
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class Part:
    """Some answers as bytes.

    Attributes:
        beginning: of the file, if these are its first answers.
        content: the answers.
        footer: what the end of the file will say of them, as if they were its first.
    """

    beginning: bytes
    content: bytes
    footer: bytes = b""


class Format(Protocol):
    """Writes a file part by part."""

    def write(self, table: pa.Table) -> Part:
        """Write some answers."""

    def shift(self, footer: bytes, position: int) -> bytes:
        """Say where in the file the content of a part was put."""

    def end(self, footers: Sequence[bytes]) -> bytes:
        """Give the end of the file, from the footers of its parts, shifted."""


class ParquetFormat:
    """A part is a row group. Snappy: zstd makes files a quarter smaller, and takes a quarter longer to write them."""

    def write(self, table: pa.Table) -> Part:
        """Write some answers."""
        texts = [field.name for field in table.schema if _is_text(field.type)]
        lists = [f"{field.name}.list.element" for field in table.schema if pa.types.is_list(field.type)]
        written = pa.BufferOutputStream()
        pa_parquet.write_table(
            table,
            written,
            row_group_size=max(1, len(table)),
            compression="snappy",
            use_dictionary=[name for name in (*texts, *lists) if name != "customer_id"],
            write_statistics=[name for name in table.column_names if name not in texts],
            store_schema=False,
        )
        content, footer = split_file(written.getvalue().to_pybytes())
        return Part(MAGIC, content, footer)

    def shift(self, footer: bytes, position: int) -> bytes:
        """Say where in the file the content of a part was put."""
        return shift_footer(footer, position - len(MAGIC))

    def end(self, footers: Sequence[bytes]) -> bytes:
        """Give the footer of all row groups together."""
        first, *others = (pa_parquet.read_metadata(io.BytesIO(MAGIC + join_footer(footer))) for footer in footers)
        for other in others:
            first.append_row_groups(other)
        written = io.BytesIO()
        first.write_metadata_file(written)
        return written.getvalue()[len(MAGIC) :]


class CsvFormat:
    """A header, then a customer a line; lists are joined by semicolons."""

    def write(self, table: pa.Table) -> Part:
        """Write some answers; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
        flat = pa.table({name: _flatten(table[name]) for name in table.column_names})
        return Part(_write_csv(flat.slice(0, 0), header=True), _write_csv(flat, header=False))

    def shift(self, footer: bytes, position: int) -> bytes:
        """Give nothing: a CSV file has no footer."""
        return footer

    def end(self, footers: Sequence[bytes]) -> bytes:
        """Give nothing: a CSV file has no footer."""
        return b""


FORMATS: Final[dict[str, type[ParquetFormat | CsvFormat]]] = {"parquet": ParquetFormat, "csv": CsvFormat}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _flatten(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give what a field of a CSV file can hold."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_list(column.type):
        joined = pc.binary_join(column.cast(pa.list_(pa.string())), "; ")
        column = pc.if_else(pc.equal(joined, ""), None, joined)
    if not pa.types.is_string(column.type):
        return column
    is_formula = pc.and_(
        pc.match_substring_regex(column, _FORMULA), pc.invert(pc.match_substring_regex(column, _NUMBER))
    )
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", column, ""), column)


def _write_csv(table: pa.Table, header: bool) -> bytes:
    written = pa.BufferOutputStream()
    pa_csv.write_csv(table, written, pa_csv.WriteOptions(include_header=header, quoting_style="needed"))
    return bytes(written.getvalue().to_pybytes())
