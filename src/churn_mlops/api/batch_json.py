"""A batch as JSON: read from one body, and answered in parts that make one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic_core import from_json, to_json

from churn_mlops.errors import BatchRefused, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from churn_mlops.api.batch_intake import Intake
    from churn_mlops.api.batch_schema import BatchSchema
    from churn_mlops.inference.records import PredictionRecord

_PIECE_BYTES: Final = 1 << 17
_ROWS: Final = 320
_HEAD: Final = re.compile(rb'\s*\{\s*"customers"\s*:\s*\[')
_TAIL: Final = re.compile(rb"\]\s*\}\s*\Z")
_LONGEST_TAIL: Final = 100
_BETWEEN: Final = re.compile(rb"\}\s*,\s*\{")
_EXPECTED: Final = "an object with 'customers', a list of requests as /predict takes them, was expected"


def read_json(body: bytes, schema: BatchSchema, intake: Intake) -> Generator[None]:
    """Read a batch, a moment at a time.

    Raises:
        MalformedRequest: it is no JSON.
        BatchRefused: it is no batch.
    """
    for rows in _split(body):
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            customers = schema.read_rows(some)
            yield
            yield from intake.take(customers, len(some), some.__getitem__)


def write_json(answers: Iterable[list[PredictionRecord]]) -> Generator[None, None, list[bytes]]:
    """Write the answers for some customers after those for others, a moment at a time."""
    parts: list[bytes] = []
    for some in answers:
        yield
        parts += (b"," if parts else b'{"predictions":[', msgspec.json.encode(some)[1:-1])
        yield
    parts.append(b"]}")
    return parts


def _split(body: bytes) -> Iterator[list[Any]]:
    """Parse the customers of a batch some at a time.

    The body is cut where one customer seems to end and another one to begin. If a piece, in brackets, is valid, then
    so was the cut: one inside a text leaves that open, one inside a customer leaves its brackets open. If it is not,
    it is tried again with twice as much, up to the end.
    """
    head, tail = _HEAD.match(body), _TAIL.search(body, max(len(body) - _LONGEST_TAIL, 0))
    if not head or not tail or tail.start() < head.end():
        yield from _split(_rewrite(body))
        return
    start, end, size = head.end(), tail.start(), _PIECE_BYTES
    while start < end:
        cut = _BETWEEN.search(body, start + size, end)
        try:
            rows: list[Any] = from_json(b"[%b]" % body[start : cut.start() + 1 if cut else end])
        except ValueError:
            if not cut:
                yield from _split(_rewrite(body))
                return
            size *= 2
            continue
        yield rows
        start, size = cut.end() - 1 if cut else end, _PIECE_BYTES


def _rewrite(body: bytes) -> bytes:
    """Write a batch as most clients write it; what it holds stays.

    Raises:
        MalformedRequest: it is no JSON.
        BatchRefused: it is no batch.
    """
    try:
        batch = from_json(body)
    except ValueError as error:
        raise MalformedRequest(f"The body is not valid JSON: {error}.") from None
    if not isinstance(batch, dict):
        raise BatchRefused(f"The body is no object; {_EXPECTED}.", ("body",))
    unknown = [name for name in batch if name != "customers"]
    if unknown:
        raise BatchRefused(f"{unknown[0]!r} is not a field of a batch; 'customers' is.", unknown)
    if not isinstance(batch.get("customers"), list):
        raise BatchRefused(f"'customers' is no list; {_EXPECTED}.", ("customers",))
    return to_json(batch, inf_nan_mode="constants")
