"""A long request is read in slices, and is the same as one that is read at once."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import from_json

from churn_mlops.api import json_slices
from churn_mlops.api.open_inference.request import REQUEST, read_request
from churn_mlops.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    from churn_mlops.api.open_inference.messages import InferRequest

ROWS, LISTS = 9000, 100


def finish(work: Generator[None, None, InferRequest]) -> tuple[InferRequest, int]:
    """Do a work to its end; give its result, and how often it could have been interrupted."""
    turns = 0
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value, turns
        turns += 1


def tensor(name: str, data: list[Any]) -> dict[str, Any]:
    """Make a tensor, whose datatype does not matter here."""
    return {"name": name, "shape": [len(data)], "datatype": "FP64", "data": data}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "value", [1234.5, None, True, "a, [b]", '","', 'x"data": [1]', "}]}, \\", "é"], ids=lambda value: repr(value)
)
def test_a_long_request_is_what_it_is(value: object, indent: int | None) -> None:
    """Values, their order and all that is not values are those of a request that is parsed as one."""
    some = [value if place % 3 else None for place in range(ROWS)]
    request = {
        "id": "x",
        "inputs": [tensor("a", some), tensor("none", []), {"name": "b", "shape": [1], "datatype": "FP64"}]
        + [tensor(f"c{place}", [place]) for place in range(12)]
        + [tensor("d", some[:100]) | {"parameters": {"data": [1, 2]}}],
        "outputs": [{"name": "reasons"}],
    }
    body = json.dumps(request | {"parameters": {"x": "y" * (1 << 17)}}, indent=indent).encode()
    read, turns = finish(read_request(body, ROWS, LISTS))
    expected = REQUEST.validate_json(body)
    for tensors in (read["inputs"], expected["inputs"]):
        for each in tensors:
            each.pop("parameters", None)
    assert read == expected
    assert turns > 14


def test_a_column_may_be_nested() -> None:
    """Values of a tensor of shape [rows, 1] come as those of one of shape [rows]."""
    values: list[Any] = [[place] for place in range(ROWS)] + ["x" * (1 << 17)]
    read, _ = finish(read_request(json.dumps({"inputs": [tensor("a", values)]}).encode(), 10_000, LISTS))
    assert read["inputs"][0]["data"] == [*range(ROWS), values[-1]]


LONG = b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [%b]}]%b}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LONG % (b"1," * 2_000_000 + b"1", b""), "more than 10,000 values under 'data'"),
        (LONG % (b"[" + b"1," * 2_000_000 + b"1]", b""), "A value of 'data' has more than 262,144 bytes"),
        (LONG % (b'"' + b"x" * 4_000_000 + b'"', b""), "A value of 'data' has more than 262,144 bytes"),
        (LONG % (b"1", b',"parameters": {"x": [' + b"1," * 2_000_000 + b"1]}"), "bytes beside its tensors' 'data'"),
        (b'{"inputs": [' + b'{"data": []},' * 300_000 + b"{}]}", "The request has more than 100 lists under 'data'."),
        (
            b'{"inputs": [' + b'{"data": [], "x": "%b"},' % (b"x" * 4000) * 90 + b"{}]}",
            "bytes beside its tensors' 'data'",
        ),
        (b"x" * 4_000_000, "bytes beside its tensors' 'data'"),
        (LONG % (b"1," * 9000 + b'"%b"' % (b"x" * 200_000) + b",]", b""), "trailing comma at line 1 column 218073"),
        (LONG % (b"1," * 9000 + b'"%b"' % (b"x" * 200_000), b",}"), "The body is not valid JSON: trailing comma."),
        (LONG % (b'"%b"' % (b"x" * 200_000), b',"id": "7'), "The body is not valid JSON: EOF while parsing a string."),
    ],
)
def test_no_request_is_parsed_at_once(body: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a long request holds, the parser is never given more of it than takes a moment."""
    parsed = [0]

    def parse(text: bytes, **options: Any) -> Any:
        parsed.append(len(text))
        return from_json(text, **options)

    monkeypatch.setattr(json_slices, "from_json", parse)
    with pytest.raises(MalformedRequest) as refused:
        finish(read_request(body, 10_000, LISTS))
    assert said in str(refused.value)
    assert max(parsed) <= (1 << 18) + 100


def test_a_long_request_has_as_many_lists_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused; and what stands for them is another text in every request."""
    marks: list[str] = []

    def make_mark(size: int) -> str:
        marks.append(token_hex(size))
        return marks[-1]

    monkeypatch.setattr("churn_mlops.api.open_inference.request.token_hex", make_mark)
    tensors = [tensor(str(place), [place]) for place in range(LISTS)]
    filled = {"inputs": tensors, "parameters": {"x": "y" * (1 << 17)}}
    read, _ = finish(read_request(json.dumps(filled).encode(), ROWS, LISTS))
    assert [each["data"] for each in read["inputs"]] == [[place] for place in range(LISTS)]
    over = {**filled, "inputs": [*tensors, tensor("one more", [1])]}
    with pytest.raises(MalformedRequest, match=rf"^The request has more than {LISTS} lists under 'data'\.$"):
        finish(read_request(json.dumps(over).encode(), ROWS, LISTS))
    assert len({*marks}) == 2
