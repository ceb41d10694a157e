"""Reads a request of the protocol from its JSON: at once if it is short, else a slice of its values at a time."""

from __future__ import annotations

import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from churn_mlops.api.json_slices import LONGEST_BYTES, PLACE, JsonList, ValueTooLong
from churn_mlops.api.open_inference.messages import InferRequest
from churn_mlops.api.open_inference.tensors import flatten
from churn_mlops.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator

REQUEST: Final = TypeAdapter(InferRequest)

_SHORT_BYTES: Final = 1 << 17
_DATA: Final = re.compile(rb'(?<!\\)"data"\s*:\s*\[')
_END: Final = re.compile(rb'\]\s*(?:\}|,\s*")')
_BETWEEN_TEXTS: Final = re.compile(rb'"\s*(,)\s*"')
_COMMA: Final = re.compile(rb"(,)")


class _Frame(NamedTuple):
    """A request without its tensors' values.

    Attributes:
        json: the request, with an object of one field in the place of each list of values.
        mark: the name of that field, which no client can foresee; it holds the list's place in `tensors`.
        tensors: the values.
    """

    json: bytes
    mark: str
    tensors: list[list[Any]]


def read_request(json: bytes, most_values: int, most_lists: int) -> Generator[None, None, InferRequest]:
    """Read a request, a moment at a time.

    Args:
        json: the request, without binary tensors.
        most_values: how many a tensor may have, looked at where they are read in slices.
        most_lists: how many lists of values there may be, looked at likewise: to find the end of each takes its time.

    Raises:
        MalformedRequest: it is no JSON, or not of the protocol.
    """
    if len(json) <= _SHORT_BYTES:
        return _validate(json)
    try:
        frame = yield from _cut_out_values(json, most_values, most_lists)
    except ValueTooLong:
        raise MalformedRequest(f"A value of 'data' has more than {LONGEST_BYTES:,} bytes.") from None
    request = _validate(frame.json, is_whole=False)
    for tensor in request["inputs"]:
        if (data := tensor.get("data")) and isinstance(data[0], dict) and frame.mark in data[0]:
            tensor["data"] = frame.tensors[data[0][frame.mark]]
    return request


def _cut_out_values(json: bytes, most_values: int, most_lists: int) -> Generator[None, None, _Frame]:
    """Put a mark in the place of each tensor's values."""
    mark = token_hex(16)
    parts: list[bytes] = []
    tensors: list[list[Any]] = []
    start = size = 0
    while found := _DATA.search(json, start, start + LONGEST_BYTES):
        if len(tensors) == most_lists:
            raise MalformedRequest(f"The request has more than {most_lists:,} lists under 'data'.")
        end = _END.search(json, found.end(), found.end() + _SHORT_BYTES)
        cut = _BETWEEN_TEXTS if json[found.end() : found.end() + 1] == b'"' else _COMMA
        values = JsonList(json, found.end(), cut, end.start() if end else -1)
        data: list[Any] = []
        for some in values.slices():
            data += flatten(some)  # lists in a list, kept for long, would have the garbage collector look at them
            if len(data) > most_values:
                problem = f"A tensor has more than {most_values:,} values under 'data'"
                raise MalformedRequest(f"{problem}, which is all that serving.max_batch_rows allows.")
            yield
        parts += json[start : found.end()], b'{"%b":%d}]' % (mark.encode(), len(tensors))
        size += found.end() - start
        tensors.append(data)
        start = values.end
        if size > LONGEST_BYTES:
            break
    if size + len(json) - start > LONGEST_BYTES:
        raise MalformedRequest(f"The request has more than {LONGEST_BYTES:,} bytes beside its tensors' 'data'.")
    parts.append(json[start:])
    return _Frame(b"".join(parts), mark, tensors)


def _validate(json: bytes, is_whole: bool = True) -> InferRequest:
    """Read a request, or what is left of it without its values: a place in that is none that the client knows."""
    try:
        return REQUEST.validate_json(json)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            problem = first["ctx"]["error"] if is_whole else PLACE.sub("", first["ctx"]["error"])
            raise MalformedRequest(f"The body is not valid JSON: {problem}.") from None
        place = ".".join(map(str, first["loc"])) or "The body"
        raise MalformedRequest(f"{place} is not as the protocol has it: {first['msg']}.") from None
