"""Files as columns: what the bytes say, with the number of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from customer_tables import write_table

from churn_mlops.data.reading import RawTable, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROWS = "id,plan\n1,a\n2,b\n"


def columns_of(raw: RawTable) -> dict[str, list[object]]:
    """Give the columns as plain lists."""
    return {str(name): list(values) for name, values in raw.columns.to_pydict().items()}


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        (ROWS, ","),
        (ROWS.removesuffix("\n"), ","),
        ("\ufeff" + ROWS, ","),
        (ROWS.replace("\n", "\r\n"), ","),
        (ROWS.replace("\n", "\r"), ","),
        ("\n\n" + ROWS, ","),
        (ROWS.replace("\n", "\n\n"), ","),
        (ROWS.replace(",", ";"), ";"),
        (ROWS.replace(",", "\t"), "\t"),
        (ROWS.replace(",", "|"), "|"),
        ('"id","plan"\n"1","a"\n"2","b"\n', ","),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_ways_to_write_the_same_csv_read_the_same(tmp_path: Path, content: str, delimiter: str, name: str) -> None:
    """A byte order mark, any line end, blank lines, quotes, compression and the delimiter change nothing."""
    raw = read_table(write_table(tmp_path / name, content), delimiter)
    assert columns_of(raw) == {"id": ["1", "2"], "plan": ["a", "b"]}
    assert (raw.row_numbers.tolist(), raw.rejects) == ([1, 2], ())


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"a,b"', "a,b"),
        ('"say ""hi"""', 'say "hi"'),
        ('"two\nlines"', "two\nlines"),
        ('2" pipe', '2" pipe'),
        (" a ", " a "),
        ("", ""),
        ("NA", "NA"),
        ("007", "007"),
        ("TRUE", "TRUE"),
        ("1e5", "1e5"),
        ("a\0b", "a\0b"),
        ("日本", "日本"),
    ],
)
def test_a_cell_is_read_to_the_letter(tmp_path: Path, cell: str, value: str) -> None:
    """No cell of a CSV file is trimmed, converted or taken for missing while it is read."""
    raw = read_table(write_table(tmp_path / "t.csv", f"id,plan\n1,{cell}\n2,b\n"))
    assert columns_of(raw)["plan"] == [value, "b"]


@pytest.mark.parametrize(
    ("lines", "kept", "rejected"),
    [
        (["1,a", "2", "3,c"], [1, 3], [2]),
        (["1,a,x", "2,b", "3,c,x"], [2], [1, 3]),
        (["", "1", "", "", "2,b", "", "3,c,x"], [2], [1, 3]),
        (['1,"a\n\nb"', "2", "3,c"], [1, 3], [2]),
        (['1,"a\nb",x', "2,b", "3"], [2], [1, 3]),
        (["1,a", "2,b", '""'], [1, 2], [3]),
    ],
)
def test_a_ragged_row_keeps_its_number(
    tmp_path: Path, lines: Sequence[str], kept: list[int], rejected: list[int]
) -> None:
    """Rows are counted as a reader of the file counts them: blank lines are none, a quoted line end starts none."""
    raw = read_table(write_table(tmp_path / "t.csv", "\n".join(["id,plan", *lines, ""])))
    assert (raw.row_numbers.tolist(), [reject.row for reject in raw.rejects]) == (kept, rejected)


def test_row_numbers_are_right_beyond_the_first_block(tmp_path: Path) -> None:
    """A file of several blocks, with blank lines and quoted line ends, is still counted row by row."""
    ragged = {50_000, 150_000, 199_999}
    padding = "x" * 120
    lines = (f"{row}" if row in ragged else f'{row},"{padding}\n"\n' for row in range(1, 200_001))
    raw = read_table(write_table(tmp_path / "t.csv", "id,plan\n" + "\n".join(lines) + "\n"))
    assert raw.columns.column("plan").num_chunks > 1
    assert {reject.row for reject in raw.rejects} == ragged
    assert raw.columns.column("id").to_pylist() == [str(row) for row in raw.row_numbers]


def test_a_rejected_row_is_kept_as_it_stood(tmp_path: Path) -> None:
    """What is set aside can be found in the file again by its text."""
    raw = read_table(write_table(tmp_path / "t.csv", 'id,plan\n1,"a,b",c \n2,b\n'))
    assert [reject.text for reject in raw.rejects] == ['1,"a,b",c ']


def test_a_last_cell_of_several_lines_is_no_open_quote(tmp_path: Path) -> None:
    """A quoted cell that is closed at the end of the file is a cell like any other."""
    raw = read_table(write_table(tmp_path / "t.csv", 'id,plan\n1,a\n2,"b\nc"\n\n'))
    assert columns_of(raw)["plan"] == ["a", "b\nc"]


def test_a_last_rejected_row_of_several_lines_is_no_open_quote(tmp_path: Path) -> None:
    """A ragged row whose quotes are closed is rejected, and the rest of the file is used."""
    raw = read_table(write_table(tmp_path / "t.csv", 'id,plan\n1,a\n2,"b\nc",d\n'))
    assert [(reject.row, reject.reason) for reject in raw.rejects] == [
        (2, "the row has 3 fields; the header has 2. It spans 2 lines; was a quote left open?")
    ]


def test_a_very_wide_table_is_read(tmp_path: Path) -> None:
    """Two thousand columns are no reason to stop."""
    names = [f"c{number}" for number in range(2000)]
    raw = read_table(write_table(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join(["1"] * 2000) + "\n"))
    assert raw.columns.column_names == names


def test_a_parquet_file_keeps_its_types(tmp_path: Path) -> None:
    """Parquet says what its columns are, so nothing is read as text."""
    table = pa.table({"id": pa.array([1, None], pa.int64()), "plan": pa.array(["a", "b"])})
    raw = read_table(write_table(tmp_path / "t.parquet", table))
    assert raw.columns.equals(table)
