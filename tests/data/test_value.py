"""Customer values: read whether or not the column is a feature, and rejected where they are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from customer_tables import ROWS, make_arrow, make_csv, settings_for, write_table

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.sample import SAMPLE_NAME
from churn_mlops.data.table import CustomerTable, load_customers
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    from pathlib import Path


def read_valued(path: Path, content: str | pa.Table, value_column: str = "worth", **overrides: Any) -> CustomerTable:
    """Write a table and read it with a column of customer values."""
    return load_customers(settings_for(write_table(path, content), **overrides), value_column)


@pytest.mark.parametrize(("drop", "is_feature"), [([], True), (["worth"], False)])
def test_values_are_read_whether_or_not_they_are_a_feature(tmp_path: Path, drop: list[str], is_feature: bool) -> None:
    """The column stays a feature unless it is dropped, and holds the values in either case."""
    content = make_csv(extra={"worth": lambda row: row * 1.5 % 90})
    table = read_valued(tmp_path / "t.csv", content, drop=drop)
    assert ("worth" in table.features.columns) is is_feature
    assert table.customer_value is not None
    assert table.customer_value.tolist() == [row * 1.5 % 90 for row in range(ROWS)]
    assert table.customer_value.dtype == "float64"


def test_a_constant_column_is_a_value_though_no_feature(tmp_path: Path) -> None:
    """What is of no use to a model may still say what everybody is worth."""
    table = read_valued(tmp_path / "t.csv", make_csv(extra={"worth": lambda row: 40}))
    assert "worth" in table.left_out
    assert table.customer_value is not None
    assert set(table.customer_value) == {40.0}


def test_without_a_value_column_there_are_no_values(tmp_path: Path) -> None:
    """A table that nobody asked for values has none."""
    content = make_csv(extra={"worth": lambda row: row % 7})
    assert load_customers(settings_for(write_table(tmp_path / "t.csv", content))).customer_value is None


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "the column 'worth' is missing; a customer value was expected."),
        ("NA", "the column 'worth' is missing; a customer value was expected."),
        ("-0.5", "the column 'worth' is -0.5; a customer value of at least 0 was expected."),
        ("much", "the column 'worth' is 'much'; a number was expected."),
        ("inf", "the column 'worth' is 'inf'; a finite number was expected."),
        ("-inf", "the column 'worth' is '-inf'; a finite number was expected."),
    ],
)
@pytest.mark.parametrize("drop", [(), ("worth",)])
def test_a_row_without_a_value_is_rejected(tmp_path: Path, cell: str, reason: str, drop: tuple[str, ...]) -> None:
    """Nobody guesses what a customer is worth; the other rows keep theirs in order."""
    content = make_csv(extra={"worth": lambda row: cell if row == 4 else row})
    table = read_valued(tmp_path / "t.csv", content, drop=drop)
    assert [(reject.row, reject.reason) for reject in table.rejects] == [(5, reason)]
    assert table.customer_value is not None
    assert table.customer_value.tolist() == [row for row in range(ROWS) if row != 4]


def test_a_customer_may_be_worth_nothing(tmp_path: Path) -> None:
    """0 is a value."""
    assert read_valued(tmp_path / "t.csv", make_csv(extra={"worth": lambda row: row % 2})).rejects == ()


def test_a_column_of_texts_rejects_every_row(tmp_path: Path) -> None:
    """Each row is told what was expected; none is left to learn from."""
    table = read_valued(tmp_path / "t.csv", make_csv(), value_column="plan")
    assert len(table.rejects) == ROWS
    assert table.rejects[0].reason == "the column 'plan' is 'a'; a number was expected."


def test_a_value_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The key and the closest column are part of the sentence."""
    with pytest.raises(MissingColumn, match=r"decision\.customer_value names the column 'wort'.*closest is 'worth'"):
        read_valued(tmp_path / "t.csv", make_csv(extra={"worth": lambda row: row}), value_column="wort")


def test_the_target_is_no_value(tmp_path: Path) -> None:
    """A customer is not worth whether it left."""
    with pytest.raises(DataError, match=r"decision\.customer_value names the target 'churn'"):
        read_valued(tmp_path / "t.csv", make_csv(churn=lambda row: int(row % 5 < 2)), "churn", positive_label=1)


def test_dates_are_no_values(tmp_path: Path) -> None:
    """A column that cannot hold numbers stops the run at once."""
    content = make_arrow(extra={"worth": pa.array([0] * ROWS, pa.timestamp("s"))})
    with pytest.raises(DataError, match=r"decision\.customer_value names the column 'worth', but it holds dates"):
        read_valued(tmp_path / "t.parquet", content)


def test_numbers_in_parquet_are_values(tmp_path: Path) -> None:
    """Arrow's own numbers are read as they are, nulls rejected."""
    content = make_arrow(extra={"worth": pa.array([None, *range(1, ROWS)], pa.int32())})
    table = read_valued(tmp_path / "t.parquet", content)
    assert table.customer_value is not None
    assert table.customer_value.tolist() == list(range(1, ROWS))
    assert [reject.row for reject in table.rejects] == [1]


def test_the_sample_has_values_too() -> None:
    """The sample's monthly charges can be tried as values without a table of one's own."""
    table = load_customers(DataSettings(), "monthly_charges")
    assert table.name == SAMPLE_NAME
    assert table.customer_value is not None
    assert table.customer_value.tolist() == table.features["monthly_charges"].tolist()
