"""Customers are read the same from any file, whatever piece of it is read; what cannot be is said of file and row."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from churn_mlops.errors import DataFileError, MissingColumn
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.table_source import TableSource, find_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.inference.batch_score.source import CustomerBatch, Position

    Write = Callable[..., Path]

FRAME = pd.DataFrame({"tenure": np.arange(1000.0), "plan": [f"p{row % 7}" for row in range(1000)]})


def open_source(path: Path, **options: Any) -> TableSource:
    """Open files of FRAME's columns."""
    return TableSource(find_files(str(path)), ["tenure", "plan"], "customer_id", **options)


def read(path: Path, rows: int, after: Position | None = None, **options: Any) -> list[CustomerBatch]:
    """Read them."""
    return list(open_source(path, **options).batches(rows, after))


def ids_of(batches: list[CustomerBatch]) -> list[str]:
    """List who is in the batches."""
    return [name for batch in batches for name in batch.customers["customer_id"].to_pylist()]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c.parquet", {}),
        ("c.parquet", {"row_group_size": 77}),
        ("c.parquet", {"row_group_size": 300}),
        ("c.csv", {}),
        ("c.csv.gz", {}),
    ],
)
def test_reading_goes_on_at_the_end_of_any_batch(write: Write, name: str, options: dict[str, int]) -> None:
    """With the very batches that followed it, whatever the row groups of the file."""
    path = write(FRAME, name, **options)
    batches = read(path, 128)
    assert [len(batch.customers) for batch in batches] == [128] * 7 + [104]
    assert ids_of(batches) == [f"C{row}" for row in range(1000)]
    assert [batch.row_numbers[0] for batch in batches] == [1 + 128 * place for place in range(8)]
    assert batches[-1].done == 1.0
    for place in (0, 3, 6):
        rest = read(path, 128, after=batches[place].end)
        assert [batch.end for batch in rest] == [batch.end for batch in batches[place + 1 :]]
        assert all(
            one.customers.to_pylist() == other.customers.to_pylist()
            for one, other in zip(rest, batches[place + 1 :], strict=True)
        )
    assert ids_of(read(path, 128, after=batches[-1].end)) == []


def test_a_folder_is_read_in_the_order_of_its_names(write: Write, tmp_path: Path) -> None:
    """Files of several kinds, in folders too; what begins with a dot or an underscore is none of them."""
    write(FRAME.iloc[:10].assign(customer_id="first"), "in/a.parquet")
    write(FRAME.iloc[:10].assign(customer_id="second"), "in/b/part.csv")
    write(FRAME.iloc[:10].assign(customer_id="third"), "in/c.csv.gz")
    for hidden in ("in/_SUCCESS.csv", "in/.hidden.parquet", "in/_old/a.csv"):
        write(FRAME.iloc[:10].assign(customer_id="nobody"), hidden)
    batches = read(tmp_path / "in", 7)
    assert list(dict.fromkeys(ids_of(batches))) == ["first", "second", "third"]
    assert ids_of(read(tmp_path / "in", 7, after=batches[2].end)) == ids_of(batches[3:])


def test_a_pattern_names_files(write: Write, tmp_path: Path) -> None:
    """As a shell would find them, in the order of their names."""
    for name in ("x-2.csv", "x-1.csv", "y-1.csv"):
        write(FRAME.iloc[:3].assign(customer_id=name), f"{name}")
    assert list(dict.fromkeys(ids_of(read(tmp_path / "x-*.csv", 10)))) == ["x-1.csv", "x-2.csv"]


def test_rows_of_a_csv_file_keep_their_numbers(write: Write) -> None:
    """Rows that do not fit the header are told with theirs, in the batch that they lie in or before."""
    path = write(FRAME.iloc[:20], "c.csv")
    lines = path.read_text().splitlines()
    lines[5:5] = ["1", "2,b,c,d"]
    path.write_text("\n".join([*lines, "too,few"]) + "\n")
    batches = read(path, 8)
    assert [(reject.row, reject.text) for batch in batches for reject in batch.unreadable] == [
        (5, "1"),
        (6, "2,b,c,d"),
        (23, "too,few"),
    ]
    assert batches[0].row_numbers.tolist() == [1, 2, 3, 4, 7, 8, 9, 10]
    assert "has 1 fields; the header has 3" in batches[0].unreadable[0].reason
    assert ids_of(batches) == [f"C{row}" for row in range(20)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.csv", b"", "it is empty"),
        ("c.xlsx", b"PK", "its ending is '.xlsx'"),
        ("c.csv", b"customer_id,tenure,plan\n", "it has a header, but no rows"),
        ("c.csv", b"customer_id,tenure,plan\nC0,1,\xff\n", "line 2 is not UTF-8"),
        ("c.csv", b'customer_id,tenure,plan\nC0,1,a\nC1,2,"b\nC2,3,c\n', "a quote that opens in row 2"),
        ("c.csv.gz", gzip.compress(b"customer_id,tenure,plan\nC0,1,a\n", mtime=0)[:-9], "Cannot read"),
        ("c.parquet", b"no parquet at all", "Cannot read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """With what is wrong and where."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=said) as raised:
        read(path, 10)
    assert str(path) in str(raised.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """A file, a folder without tables, a pattern that matches nothing."""
    with pytest.raises(DataFileError, match="there is no such file"):
        open_source(tmp_path / "nobody.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataFileError, match="the folder holds no"):
        open_source(tmp_path / "empty")
    with pytest.raises(DataFileError, match="no file matches"):
        open_source(tmp_path / "*.parquet")


def test_a_column_that_is_missing_is_named_with_its_file(write: Write) -> None:
    """With the closest name that there is; also where only the second file lacks it."""
    path = write(FRAME.rename(columns={"tenure": "tenur"}), "c.csv")
    with pytest.raises(MissingColumn, match=r"c\.csv.*'tenure'.*closest is 'tenur'"):
        open_source(path)


WHOLE = pa.array([1, 2, 3])
TEXTS = pa.array(["1", "2", "3"])
TIMES = WHOLE.cast(pa.timestamp("us"))


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("customer_id", WHOLE, TEXTS),
        ("customer_id", WHOLE, WHOLE.cast(pa.int32())),
        ("customer_id", WHOLE, WHOLE.cast(pa.float64())),
        ("as_of", TIMES, TIMES.cast(pa.date32())),
        ("as_of", TEXTS, TIMES.cast(pa.date32())),
    ],
)
def test_files_that_would_make_no_column_are_refused(
    tmp_path: Path, column: str, first: pa.Array, second: pa.Array
) -> None:
    """Before anybody is scored; the file, the column and both types are named."""
    write_parts(tmp_path, column, first, second)
    said = rf"b\.parquet: the column '{column}' holds {second.type}.*a\.parquet are {first.type}"
    with pytest.raises(DataFileError, match=said.replace("[", r"\[")):
        open_source(tmp_path, time="as_of")


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("customer_id", TEXTS, WHOLE.cast(pa.float64())),
        ("customer_id", TEXTS, TEXTS.dictionary_encode()),
        ("as_of", TEXTS, TIMES),
        ("as_of", TIMES.cast(pa.date32()), TIMES.cast(pa.date64())),
    ],
)
def test_files_whose_types_become_one_are_read(tmp_path: Path, column: str, first: pa.Array, second: pa.Array) -> None:
    """Ids that are no whole numbers become texts, and texts become times."""
    write_parts(tmp_path, column, first, second)
    assert len(list(open_source(tmp_path, time="as_of").batches(10, None))) == 2


def write_parts(folder: Path, column: str, *parts: pa.Array) -> None:
    """Write files whose column differs in its type."""
    for name, part in zip("ab", parts, strict=True):
        columns = {"customer_id": TEXTS, "tenure": WHOLE, "plan": TEXTS, "as_of": TEXTS} | {column: part}
        pa_parquet.write_table(pa.table(columns), folder / f"{name}.parquet")


def test_what_columns_mean_is_a_part_of_the_fingerprint(write: Write) -> None:
    """The same columns of the same file, with another role each."""
    path = write(FRAME.assign(other=1.0), "c.csv")
    options: tuple[dict[str, Any], ...] = (
        {"customer_value": "other"},
        {"time": "other"},
        {"customer_value": "other", "time": "other"},
    )
    swapped = TableSource([path], ["tenure", "plan", "customer_id"], "other"), open_source(path)
    found = {*(open_source(path, **told).fingerprint for told in options), *(one.fingerprint for one in swapped)}
    assert len(found) == 5


def test_a_source_that_changes_has_another_fingerprint(write: Write) -> None:
    """Its content is another one, and so a run cannot go on."""
    before = open_source(write(FRAME, "c.csv")).fingerprint
    assert open_source(write(FRAME, "c.csv").with_name("c.csv")).fingerprint != before
    assert len(before) == 64


@pytest.mark.parametrize("sizes", [[5, 0, 9, 1], [1] * 15, [15], []])
@pytest.mark.parametrize("skipped", [0, 4, 8])
def test_batches_are_cut_alike_whatever_they_were(sizes: list[int], skipped: int) -> None:
    """Four rows each, but for the last."""
    everything = list(range(sum(sizes)))
    firsts = [sum(sizes[:place]) for place in range(len(sizes))]
    batches = [
        pa.record_batch({"n": pa.array(everything[first : first + size], pa.int64())})
        for first, size in zip(firsts, sizes, strict=True)
    ]
    found = [batch["n"].to_pylist() for batch in cut(batches, 4, skipped)]
    rest = everything[skipped:]
    assert found == [rest[at : at + 4] for at in range(0, len(rest), 4)]


def test_folders_named_by_a_column_and_a_value_give_it(write: Write, tmp_path: Path) -> None:
    """As text, decoded, or missing, as Spark and Hive write tables in parts; a column of the file comes first."""
    write(FRAME[["tenure"]].head(3), "t/as_of=2026-01-31/plan=a%2Fb/part-0.parquet")
    write(FRAME[["tenure"]].head(2), "t/as_of=2026-02-28/plan=__HIVE_DEFAULT_PARTITION__/part-0.csv")
    write(FRAME.iloc[[3]], "t/as_of=2026-02-28/plan=other/part-0.csv")
    batches = read(tmp_path / "t", 2, time="as_of")
    assert [batch.customers["plan"].to_pylist() for batch in batches] == [["a/b"] * 2, ["a/b"], [None] * 2, ["p3"]]
    assert [batch.customers["as_of"].to_pylist()[0] for batch in batches] == ["2026-01-31"] * 2 + ["2026-02-28"] * 2
    assert batches[0].customers["tenure"].to_pylist() == [0.0, 1.0]


def test_a_column_that_a_folder_does_not_give_is_missed(write: Write, tmp_path: Path) -> None:
    """Named with its file and what there is instead."""
    write(FRAME[["tenure"]], "t/plans=a/part-0.parquet")
    with pytest.raises(MissingColumn, match=r"part-0\.parquet.*'plan'"):
        open_source(tmp_path / "t")
