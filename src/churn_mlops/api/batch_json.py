"""A batch as JSON: read from one body, and answered in parts that make one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic_core import from_json

from churn_mlops.api.json_slices import LONGEST_BYTES, JsonList, ValueTooLong, describe_malformed
from churn_mlops.errors import BatchRefused, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from churn_mlops.api.batch_intake import Intake
    from churn_mlops.api.batch_schema import BatchSchema
    from churn_mlops.inference.records import PredictionRecord

_ROWS: Final = 320
_HEAD: Final = re.compile(rb'\s*\{\s*("(?:[^"\\]++|\\.)*+")\s*:\s*\[', re.DOTALL)
_TAIL: Final = re.compile(rb"\]\s*\}\s*\Z")
_LONGEST_TAIL: Final = 100
_NAMED: Final = 10
_NAMED_CHARACTERS: Final = 200
_BETWEEN: Final = re.compile(rb"\}\s*(,)\s*\{")
_REST: Final = re.compile(rb"\s*\}\s*")
_EMPTY: Final = b'{"customers":[]'
_EXPECTED: Final = "an object with 'customers', a list of requests as /predict takes them, was expected"


def read_json(body: bytes, schema: BatchSchema, intake: Intake) -> Generator[None]:
    """Read a batch, a moment at a time.

    Raises:
        MalformedRequest: it is no JSON.
        BatchRefused: it is no batch.
    """
    head = _HEAD.match(body, 0, LONGEST_BYTES)
    if not head or _read_name(head[1]) != "customers":
        raise _refuse_layout(body)
    tail = _TAIL.search(body, max(len(body) - _LONGEST_TAIL, head.end()))
    customers = JsonList(body, head.end(), _BETWEEN, tail.start() if tail else -1)
    count = 0
    try:
        for rows in customers.slices():
            yield
            for start in range(0, len(rows), _ROWS):
                some = rows[start : start + _ROWS]
                read = schema.read_rows(some)
                yield
                yield from intake.take(read, len(some), some.__getitem__)
            count += len(rows)
    except ValueTooLong:
        problem = f"row {count}: more than {LONGEST_BYTES:,} bytes go by without the end of a customer; {_EXPECTED}."
        raise BatchRefused(problem, ("customers",)) from None
    if not _REST.fullmatch(body, customers.end):
        raise _refuse_layout(body, customers.end)


def write_json(answers: Iterable[list[PredictionRecord]]) -> Generator[None, None, list[bytes]]:
    """Write the answers for some customers after those for others, a moment at a time."""
    parts: list[bytes] = []
    for some in answers:
        yield
        parts += (b"," if parts else b'{"predictions":[', msgspec.json.encode(some)[1:-1])
        yield
    parts.append(b"]}")
    return parts


def _read_name(text: bytes) -> object:
    try:
        return from_json(text)
    except ValueError:
        return None


def _refuse_layout(body: bytes, end_of_customers: int = 0) -> MalformedRequest | BatchRefused:
    """Say what is wrong with a body that is no batch, or goes on where one ends; its beginning has to do if it is long.

    Args:
        body: all of it.
        end_of_customers: where the list of customers has ended, if it was read.
    """
    rest = body[end_of_customers : end_of_customers + LONGEST_BYTES]
    is_all = end_of_customers + len(rest) == len(body)
    before = _EMPTY if end_of_customers else b""
    try:
        batch = from_json(before + rest, allow_partial=False if is_all else "trailing-strings")
    except ValueError as error:
        return describe_malformed(body, str(error), end_of_customers, len(before))
    if not isinstance(batch, dict):
        return BatchRefused(f"The body is no object; {_EXPECTED}.", ("body",))
    unknown = [name for name in batch if name != "customers"]
    if unknown:
        return BatchRefused(
            f"{unknown[0][:_NAMED_CHARACTERS]!r} is not a field of a batch; 'customers' is.", unknown[:_NAMED]
        )
    if end_of_customers:
        return BatchRefused("'customers' stands more than once in the body.", ("customers",))
    return BatchRefused(f"'customers' is no list; {_EXPECTED}.", ("customers",))
