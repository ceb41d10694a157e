"""Parts that were written apart make one file, which any reader of the format takes."""

from __future__ import annotations

import csv
import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from churn_mlops.inference.batch_score.formats import FORMATS, CsvFormat, ParquetFormat
from churn_mlops.inference.batch_score.parquet_footer import shift_footer, split_file


def make_table(first: int, rows: int) -> pa.Table:
    """Make answers of every type that there is among them."""
    numbers = range(first, first + rows)
    return pa.table(
        {
            "customer_id": [f"C{number}" for number in numbers],
            "churn_probability": pa.array([number / 1000 for number in numbers], pa.float32()),
            "churn_predicted": [number % 3 == 0 for number in numbers],
            "threshold": pa.array([None if number % 5 == 0 else 0.5 for number in numbers], pa.float64()),
            "risk_band": pa.array(["low" if number % 2 else "high" for number in numbers]).dictionary_encode(),
            "missing": pa.array([["tenure", "plan"][: number % 3] for number in numbers], pa.list_(pa.string())),
        }
    )


def put_together(name: str, tables: list[pa.Table]) -> bytes:
    """Write tables as parts of one file."""
    format_ = FORMATS[name]()
    content, footers = b"", []
    for table in tables:
        part = format_.write(table)
        content = content or part.beginning
        footers.append(format_.shift(part.footer, len(content)))
        content += part.content
    return content + format_.end(footers)


@pytest.mark.parametrize("sizes", [[1], [1000], [700, 1, 1300], [3] * 40])
def test_parquet_parts_become_one_file(sizes: list[int], tmp_path: object) -> None:
    """A row group each, whose values pyarrow and DuckDB read back."""
    firsts = [sum(sizes[:place]) for place in range(len(sizes))]
    tables = [make_table(first, size) for first, size in zip(firsts, sizes, strict=True)]
    path = f"{tmp_path}/scores.parquet"
    with open(path, "wb") as file:  # noqa: PTH123 - a text for DuckDB
        file.write(put_together("parquet", tables))
    expected = pa.concat_tables(tables).unify_dictionaries().to_pylist()
    assert pa_parquet.ParquetFile(path).num_row_groups == len(sizes)
    assert pa_parquet.read_table(path).to_pylist() == expected
    read = duckdb.read_parquet(path).filter("churn_probability >= 0").project("customer_id, churn_predicted, missing")
    assert read.fetchall() == [(row["customer_id"], row["churn_predicted"], row["missing"]) for row in expected]


def test_a_footer_that_is_moved_back_is_the_old_one() -> None:
    """Every position grows by as much, and nothing else is touched."""
    _, footer = split_file(_file(make_table(0, 2000)))
    moved = shift_footer(footer, 12_345_678_901)
    assert moved != footer
    assert shift_footer(moved, -12_345_678_901) == footer
    assert shift_footer(footer, 0) == footer


def test_csv_parts_become_one_file() -> None:
    """One header, then every customer; lists are joined, and what is missing is empty."""
    read = list(csv.DictReader(io.StringIO(put_together("csv", [make_table(0, 5), make_table(5, 7)]).decode())))
    assert [row["customer_id"] for row in read] == [f"C{number}" for number in range(12)]
    assert read[2]["missing"] == "tenure; plan"
    assert read[0]["missing"] == read[0]["threshold"] == ""
    assert read[1]["risk_band"] == "low"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+2", "'=1+2"),
        ("+49 170", "'+49 170"),
        ("@all", "'@all"),
        ("-1.5", "-1.5"),
        ("+5e3", "+5e3"),
        ("C-1", "C-1"),
        ('say "hi"', 'say "hi"'),
        ("a,b\nc", "a,b\nc"),
    ],
)
def test_no_text_of_a_csv_file_is_a_formula(text: str, written: str) -> None:
    """What a spreadsheet would run gets an apostrophe in front, numbers excepted; everything else stays as it was."""
    part = CsvFormat().write(pa.table({"customer_id": [text]}))
    assert next(csv.reader(io.StringIO(part.content.decode()))) == [written]


def test_the_same_answers_give_the_same_bytes() -> None:
    """Nothing in a file hangs on when or where it was written."""
    assert ParquetFormat().write(make_table(0, 100)) == ParquetFormat().write(make_table(0, 100))


def _file(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pa_parquet.write_table(table, written)
    return written.getvalue()
