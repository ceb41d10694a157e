"""Parses a long list within a JSON text a slice at a time, so that the event loop is never held for all of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from churn_mlops.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

LONGEST_BYTES: Final = 1 << 18
"""Of one value of a list, and of whatever else is parsed at once: about ten milliseconds."""

_SLICE_BYTES: Final = 1 << 17
_TOKENS_AT_ONCE: Final = 1 << 10
# A string that is not closed goes on to the end: looking for its end again and again would take time squared.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
PLACE: Final = re.compile(r" at line (\d+) column (\d+)\Z")
"""Where in its text an error of the parser says that it is."""


class ValueTooLong(Exception):
    """A value of a list has more than `LONGEST_BYTES`."""


class JsonList:
    """A list within a JSON text.

    It is cut where one value seems to end and another one to begin. If a slice, in brackets, is valid, then so was the
    cut: one inside a string leaves that open, one inside a value leaves its brackets open. If it is not, the brackets
    are counted.

    Args:
        text: the JSON text, in UTF-8.
        start: where the list's first value begins: behind its bracket.
        cut: finds what is probably between two values; its group 1 is the comma.
        likely_end: where the list's closing bracket probably is; -1 if there is no telling.

    Attributes:
        end: where the list ends, behind its closing bracket; right once all slices were read.
    """

    def __init__(self, text: bytes, start: int, cut: re.Pattern[bytes], likely_end: int) -> None:
        self.end = start
        self._text = text
        self._cut = cut
        self._likely_end = likely_end

    def slices(self) -> Iterator[list[Any]]:
        """Parse some values after the others; gives an empty list where only time has passed.

        Raises:
            MalformedRequest: it is no JSON.
            ValueTooLong: one value is longer than all that is parsed at once.
        """
        is_first = True
        while True:
            end = self._guess_end()
            values = None if end is None else _try_to_parse(self._text[self.end : end])
            if values is None:
                yield []
                end = yield from self._find_end()
                yield []
                values = self._parse(end)
            assert end is not None  # noqa: S101 - found by now
            closes = self._text[end] != ord(",")
            if not (values or (is_first and closes)):
                raise self._malformed("trailing comma" if closes else "expected value", end)
            yield values
            self.end, is_first = end + 1, False
            if closes:
                return

    def _guess_end(self) -> int | None:
        if self.end <= self._likely_end <= self.end + _SLICE_BYTES:
            return self._likely_end
        cut = self._cut.search(self._text, self.end + _SLICE_BYTES, self.end + LONGEST_BYTES)
        return cut.start(1) if cut else None

    def _find_end(self) -> Generator[list[Any], None, int]:
        """Find a comma behind a slice of some length, or the bracket that closes the list, by counting brackets."""
        text, depth, behind, last = self._text, 0, self.end, -1
        least, limit = self.end + _SLICE_BYTES, min(self.end + LONGEST_BYTES, len(self._text))
        for place, token in enumerate(_TOKEN.finditer(text, self.end, limit)):
            if place % _TOKENS_AT_ONCE == _TOKENS_AT_ONCE - 1:
                yield []
            if not depth:
                last = max(last, text.rfind(b",", behind, token.start()))
                if last >= least:
                    return text.find(b",", max(behind, least))
                if token[0] in b"]}":
                    return self._require_bracket(token)
            behind = token.end()
            depth += (token[0] in b"[{") - (token[0] in b"]}")
        if not depth:
            last = max(last, text.rfind(b",", behind, limit))
        if last < 0 or limit == len(text):
            raise self._refuse_endless(limit)
        return last

    def _require_bracket(self, token: re.Match[bytes]) -> int:
        if token[0] != b"]":
            raise self._refuse_endless(token.end())
        return token.start()

    def _parse(self, end: int) -> list[Any]:
        try:
            values: list[Any] = from_json(b"[%b]" % self._text[self.end : end])
        except ValueError as error:
            raise self._malformed(str(error), self.end, shift=1) from None
        return values

    def _refuse_endless(self, limit: int) -> MalformedRequest | ValueTooLong:
        """Say why no value ends before the limit: it is too long, unless nothing comes behind it."""
        if limit == self.end + LONGEST_BYTES < len(self._text):
            return ValueTooLong()
        try:
            from_json(b"[%b" % self._text[self.end : limit])
        except ValueError as error:
            return self._malformed(str(error), self.end, shift=1)
        return ValueTooLong()

    def _malformed(self, problem: str, start: int, shift: int = 0) -> MalformedRequest:
        return describe_malformed(self._text, problem, start, shift)


def describe_malformed(text: bytes, problem: str, start: int = 0, shift: int = 0) -> MalformedRequest:
    """Say where a JSON text is malformed.

    Args:
        text: all of it.
        problem: what the parser said of a part of it.
        start: where that part begins.
        shift: how many bytes the parser saw in front of that part.
    """
    found = PLACE.search(problem)
    line, column = (int(found[1]), int(found[2])) if found else (1, shift + 1)
    place = start
    for _ in range(line - 1):
        place = text.find(b"\n", place) + 1
    place += column - 1 - (shift if line == 1 else 0)
    line = text.count(b"\n", 0, place) + 1
    column = place - text.rfind(b"\n", 0, place)
    said = problem[: found.start()] if found else problem
    return MalformedRequest(f"The body is not valid JSON: {said} at line {line} column {column}.")


def _try_to_parse(values: bytes) -> list[Any] | None:
    try:
        parsed: list[Any] = from_json(b"[%b]" % values)
    except ValueError:
        return None
    return parsed
