"""Columns: what each is found to be, and its values as that."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.kinds import ReadColumn, read_column, why_left_out

if TYPE_CHECKING:
    from churn_mlops.config.settings import Kind

MISSING = DataSettings().missing_values


def read(values: list[Any] | pa.Array, forced: Kind | None = None, name: str = "x") -> ReadColumn:
    """Read one column of values with the shipped texts for "missing"."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return read_column(pa.chunked_array([array]), name, forced, MISSING)


def values_of(column: ReadColumn) -> list[object]:
    """Give a column's values with None for a missing one."""
    return [None if absent else value for value, absent in zip(column.values, column.missing, strict=True)]


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", " 2.5 ", "-3e2", ".5"], "numeric", [1.0, 2.5, -300.0, 0.5]),
        (["1", " ", "NA", "nan", "NULL"], "numeric", [1.0, None, None, None, None]),
        (["007", "12"], "numeric", [7.0, 12.0]),
        (["TRUE", "false", "True", ""], "boolean", [True, False, True, None]),
        (["Yes", " No ", ""], "categorical", ["Yes", "No", None]),
        (["t", "f"], "categorical", ["t", "f"]),
        (["yes", "Yes"], "categorical", ["yes", "Yes"]),
        (["a", "1"], "categorical", ["a", "1"]),
        (["1,5", "2,5"], "categorical", ["1,5", "2,5"]),
        (["0x1f", "0x2f"], "categorical", ["0x1f", "0x2f"]),
        (["10.0.0.1", "10.0.0.2"], "categorical", ["10.0.0.1", "10.0.0.2"]),
        (["1-5", "6-10"], "categorical", ["1-5", "6-10"]),
    ],
)
def test_text_is_read_as_what_its_values_show(texts: list[str], kind: str, values: list[object]) -> None:
    """Numbers are numeric, true and false boolean, all else categories; blanks around them do not count."""
    column = read(texts)
    assert (column.kind, values_of(column)) == (kind, values)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, None, 3], pa.int64()), "numeric", [1.0, None, 3.0]),
        (pa.array([1, 255], pa.uint8()), "numeric", [1.0, 255.0]),
        (pa.array([0.5, None, float("nan")], pa.float32()), "numeric", [0.5, None, None]),
        (pa.array([Decimal("1.25"), None]), "numeric", [1.25, None]),
        (pa.array([Decimal("1.25")], pa.decimal256(50, 2)), "numeric", [1.25]),
        (pa.array([True, None, False]), "boolean", [True, None, False]),
        (pa.array(["1", "2", None]), "numeric", [1.0, 2.0, None]),
        (pa.array(["a", None, "NA"], pa.large_string()), "categorical", ["a", None, None]),
        (pa.array(["a", "b"], pa.string_view()), "categorical", ["a", "b"]),
        (pa.array(["b", None, "a"]).dictionary_encode(), "categorical", ["b", None, "a"]),
        (pa.array([5, None, 7]).dictionary_encode(), "numeric", [5.0, None, 7.0]),
    ],
)
def test_typed_columns_are_read_as_their_type(values: pa.Array, kind: str, expected: list[object]) -> None:
    """Integers with nulls, decimals, booleans, text in any encoding and pandas categories all find their kind."""
    column = read(values)
    assert (column.kind, values_of(column)) == (kind, expected)


@pytest.mark.parametrize(
    ("values", "forced", "expected"),
    [
        (["1", "02", ""], "categorical", ["1", "02", None]),
        ([1, None, 2], "categorical", ["1", None, "2"]),
        ([1.0, None, 2.0], "categorical", ["1", None, "2"]),
        ([1.5, 2.0], "categorical", ["1.5", "2.0"]),
        ([1e30, 2e30], "categorical", ["1e+30", "2e+30"]),
        ([True, None], "categorical", ["True", None]),
        (["yes", "NO", "y", "n", ""], "boolean", [True, False, True, False, None]),
        (["1", "0.0"], "boolean", [True, False]),
        ([1, 0, None], "boolean", [True, False, None]),
        ([1.0, 0.0, None], "boolean", [True, False, None]),
        ([True, False], "boolean", [True, False]),
        ([True, False, None], "numeric", [1.0, 0.0, None]),
        (["1", ""], "numeric", [1.0, None]),
        ([datetime.date(2024, 1, 2)], "categorical", ["2024-01-02"]),
    ],
)
def test_a_kind_that_is_named_overrules_what_is_found(values: list[Any], forced: Kind, expected: list[object]) -> None:
    """Numbers can be categories or booleans, and yes and no booleans, if the configuration says so."""
    column = read(values, forced)
    assert (column.kind, values_of(column), column.rejected) == (forced, expected, {})


@pytest.mark.parametrize(
    ("values", "forced", "reason"),
    [
        (["1", "a"], "numeric", "the column 'x' is 'a'; a number was expected."),
        (["1", "inf"], "numeric", "the column 'x' is 'inf'; a finite number was expected."),
        (["yes", "maybe"], "boolean", "the column 'x' is 'maybe'; a boolean was expected."),
        ([1, 2], "boolean", "the column 'x' is '2'; a boolean was expected."),
        ([1.0, float("-inf")], None, "the column 'x' is -inf; a finite number was expected."),
    ],
)
def test_a_value_that_does_not_fit_its_kind_rejects_its_row(
    values: list[Any], forced: Kind | None, reason: str
) -> None:
    """The reason names the column, the value as it stands and what was expected."""
    assert read(values, forced).rejected == {1: reason}


@pytest.mark.parametrize(("numbers", "kind"), [(95, "numeric"), (94, "categorical")])
def test_a_text_column_is_numeric_from_95_percent_on(numbers: int, kind: str) -> None:
    """The few texts of a numeric column reject their rows; the many of another make it one of categories."""
    column = read([str(number) for number in range(numbers)] + ["?"] * (100 - numbers))
    assert (column.kind, len(column.rejected)) == (kind, 5 if kind == "numeric" else 0)


def test_blanks_do_not_count_against_the_numbers() -> None:
    """A column of mostly blanks is numeric if what is there are numbers, and the blanks are told."""
    column = read(["1", "2", *[""] * 98])
    assert (column.kind, column.note) == ("numeric", "text read as numbers; 98 blanks are missing values")


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-{:02}",
        "2024/01/{:02}",
        "{:02}/12/2024",
        "12/{:02}/2024",
        "{:02}.12.2024",
        "{:02}-12-2024",
        "12/{:02}/24",
        "2024-01-{:02} 10:30:00",
        "2024-01-{:02}T10:30:00.123Z",
        "2024-01-{:02}T10:30:00+02:00",
        "{:02}.12.2024 10:30",
        "12/{:02}/2024 9:30 AM",
        "9999-12-{:02}",
    ],
)
def test_dates_are_no_feature(text: str) -> None:
    """Dates in the usual ways of writing are recognised, with or without a time."""
    column = read([text.format(day) for day in range(1, 29)])
    assert (column.kind, column.problem) == (None, "it holds dates, which are no features of a customer table")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1], None]),
        pa.array([{"a": 1}, None]),
        pa.array([b"a", None]),
        pa.array([b"a", None], pa.large_binary()),
        pa.array([b"a", None], pa.binary_view()),
        pa.array([b"a", None], pa.binary(1)),
        pa.array([b"0" * 16, None], pa.uuid()),
    ],
    ids=lambda values: str(values.type),
)
def test_what_is_neither_number_nor_text_is_no_feature(values: pa.Array) -> None:
    """Lists, structures and bytes are left out with their type, and where they are missing stays known."""
    column = read(values)
    assert (column.kind, column.problem, column.missing.tolist()) == (
        None,
        f"it holds {values.type} values",
        [False, True],
    )


@pytest.mark.parametrize(
    "values",
    [
        pa.array([datetime.date(2024, 1, 1), None]),
        pa.array([datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), None]),
        pa.array([10**17, None], pa.timestamp("us")),
        pa.array([datetime.time(1), None]),
    ],
    ids=lambda values: str(values.type),
)
def test_typed_dates_are_no_feature(values: pa.Array) -> None:
    """Dates and times of any year are left out, and where they are missing stays known."""
    column = read(values)
    assert (column.problem[:14], column.missing.tolist()) == ("it holds dates", [False, True])


@pytest.mark.parametrize(
    ("texts", "note"),
    [
        (["$1.50", "$2.50"], "its numbers have separators or signs (such as '$1.50'); write 1234.5"),
        (["12 %", "13 %"], "its numbers have separators or signs (such as '12 %'); write 1234.5"),
        (["1.234,56", "12,5"], "its numbers have separators or signs (such as '1.234,56'); write 1234.5"),
        (["1", "2", "3", "#N/A"], "read as categories, since 25% of its values are no numbers (such as '#N/A')"),
        (["a", "b"], ""),
        (["10.0.0.1", "10.0.0.2"], ""),
    ],
)
def test_numbers_that_became_categories_are_told(texts: list[str], note: str) -> None:
    """An operator whose amounts carry commas, currencies or marks for "unknown" learns why they are no numbers."""
    assert read(texts).note == note


@pytest.mark.parametrize(
    ("name", "values", "is_left_out"),
    [
        ("score", [3, 1, 2, 5], False),
        ("score", [3, 1, 2, 4], True),
        ("score", [1.5, 2.5, 3.5], False),
        ("user_id", [30, 10, 20], True),
        ("userId", [30, 10, 20], True),
        ("Id", [30, 10, 20], True),
        ("", [30, 10, 20], False),
        ("Unnamed: 0", [30, 10, 20], True),
        ("__index_level_0__", [30, 10, 20], True),
        ("paid", [30, 10, 20], False),
        ("user_id", [30, 10, 10], False),
        ("user_id", [30, 10, None], False),
        ("user_id", [30, 10, 20.5], False),
    ],
)
def test_a_whole_number_per_row_is_an_identifier(name: str, values: list[float | None], is_left_out: bool) -> None:
    """Consecutive numbers are one under any name, other unique ones if they are named like one."""
    reason = why_left_out(read(values, name=name), name, 20)
    assert reason == ("it looks like an identifier: a different whole number on every row" if is_left_out else "")


@pytest.mark.parametrize(("most_frequent", "is_left_out"), [(19, True), (20, False)])
def test_text_that_hardly_repeats_is_no_feature(most_frequent: int, is_left_out: bool) -> None:
    """A text column is kept if one of its texts stands on as many rows as a category needs for itself."""
    column = read(["often"] * most_frequent + [f"text {row}" for row in range(1000)])
    assert bool(why_left_out(column, "x", 20)) is is_left_out


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a", "a"], "every value is 'a'"),
        ([1, 1], "every value is 1.0"),
        ([True, True], "every value is True"),
        ([0.5, None], ""),
        ([True, None], ""),
        ([float("nan"), None], "every value is missing"),
    ],
)
def test_a_constant_column_is_no_feature(values: list[Any], reason: str) -> None:
    """One value on every row says nothing; one value and gaps may."""
    assert why_left_out(read(values), "x", 1) == reason
