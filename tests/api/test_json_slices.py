"""A list that is parsed in slices is the list that it is, wherever it is cut."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from churn_mlops.api import json_slices
from churn_mlops.api.json_slices import JsonList, ValueTooLong
from churn_mlops.errors import MalformedRequest

COMMA = re.compile(rb"(,)")
BETWEEN_OBJECTS = re.compile(rb"\}\s*(,)\s*\{")
PLACES = re.compile(r"at line \d+ column \d+")

TEXTS = st.sampled_from(["", "a", ",", "},{", "]", '"', "\\", '\\"', "[[", "é"])
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from([1.5, -1e300]) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)


@pytest.fixture(autouse=True, scope="module")
def _short_slices() -> Any:
    """Cut after a few bytes what is cut after many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_slices, "_SLICE_BYTES", 20)
        patch.setattr(json_slices, "_TOKENS_AT_ONCE", 3)
        yield


def read(values: JsonList) -> list[Any]:
    """Put the slices together."""
    return [value for some in values.slices() for value in some]


@given(
    values=st.lists(VALUES, max_size=20),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    cut=st.sampled_from([COMMA, BETWEEN_OBJECTS]),
    guess=st.integers(-1, 5),
)
def test_any_list_is_read_as_it_is(
    values: list[Any], ascii_only: bool, indent: int | None, cut: re.Pattern[bytes], guess: int
) -> None:
    """Values and the end are those of the list, whatever the guesses at where to cut."""
    inside = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode()
    text = b'{"x": ' + inside + b', "y": [1]}'
    brackets = [-1, *(found.start() for found in re.finditer(rb"\]", text))]
    found = JsonList(text, 7, cut, brackets[guess % len(brackets)])
    assert read(found) == values
    assert found.end == 6 + len(inside)


@pytest.mark.parametrize("before", ["", "1, 2, 3,\n", '"a", [2, {}], 3333333333333333333333,\n'])
@pytest.mark.parametrize(
    "rest",
    [
        *("1,]", "1,,2]", "1}", '"a', "{]", "1", "tru]", '"\\x"]', "1 2]", "1, 2, 3, 4, 5, 6, 7, ]"),
        *(f"{' ' * 40},1]", f"{' ' * 40},]", "1, 2, 3, 4, 5, 6, 7,, 8]"),
    ],
)
def test_what_is_no_list_is_refused(before: str, rest: str) -> None:
    """The place in the error is the one that reading the text at once would name."""
    text = f"[{before}{rest}".encode()
    with pytest.raises(ValueError, match="line") as at_once:
        from_json(text)
    with pytest.raises(MalformedRequest) as in_slices:
        read(JsonList(text, 1, COMMA, -1))
    assert PLACES.findall(str(in_slices.value)) == PLACES.findall(str(at_once.value))


@pytest.mark.parametrize("rest", ["]", "}", ", 1]", "x"])
def test_what_follows_the_list_is_for_others_to_judge(rest: str) -> None:
    """It ends with its bracket."""
    values = JsonList(f"[1, [2], 3, 4, 5, 6, 7, 8, 9]{rest}".encode(), 1, COMMA, -1)
    assert read(values) == [1, [2], 3, 4, 5, 6, 7, 8, 9]
    assert values.end == 29


def test_a_value_has_a_most_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of any length is read, but no value that is longer than is parsed at once."""
    monkeypatch.setattr(json_slices, "LONGEST_BYTES", 100)
    short, long = b'"' + b"x" * 60 + b'"', b'"' + b"x" * 110 + b'"'
    assert len(read(JsonList(b"[" + b",".join([short] * 50) + b"]", 1, COMMA, -1))) == 50
    slices = JsonList(b"[" + b",".join([short, short, long, short]) + b"]", 1, COMMA, -1).slices()
    assert [next(some for some in slices if some) for _ in range(2)] == [["x" * 60]] * 2
    with pytest.raises(ValueTooLong):
        list(slices)
