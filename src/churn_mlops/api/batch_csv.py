"""A batch as CSV, for spreadsheets: a header line with feature names, then one customer a line; answered likewise."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic_core import to_json

from churn_mlops.api.text_values import TRUTHS, read_number
from churn_mlops.errors import BatchRefused, FeatureSchemaMismatch, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from churn_mlops.api.batch_intake import Intake
    from churn_mlops.api.batch_schema import BatchSchema
    from churn_mlops.api.request_schema import RequestSchema
    from churn_mlops.inference.records import PredictionRecord
    from churn_mlops.models.signature import Signature

_ROWS: Final = 512
_PIECE: Final = 1 << 15
_BLANK: Final = 128
_LONGEST_LINE: Final = 1 << 20
_LONGEST_FIELD: Final = 1 << 17
_NAMED: Final = 10
_UNKNOWN_NAMES: Final = 50
_LONGEST_NAME: Final = 200
"""How many columns that are no features are looked at, and how much of each name: a header may have thousands."""

_TO_QUOTE: Final = re.compile('[",\r\n]')
_REMEMBERED: Final = 1 << 14
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - those that spreadsheets take for them


_Line = tuple[int, list[str]]
"""Where a line of a file begins, from 1, and its fields."""

_Convert = Callable[[Sequence[str]], tuple[list[Any], bool]]
"""Gives the values of some fields, and whether it is sure that they are all of the kind."""


@dataclass(frozen=True, slots=True)
class _Header:
    """Where in a line what stands.

    Attributes:
        names: of the columns.
        customer_id: place of the customers' names, if there is one.
        customer_value: place of their values, if there is one.
        features: place of each feature in the signature's order; None if there is no such column.
    """

    names: list[str]
    customer_id: int | None
    customer_value: int | None
    features: list[int | None]


def read_csv(
    body: bytes, signature: Signature, one: RequestSchema, many: BatchSchema, intake: Intake
) -> Generator[None]:
    """Read a batch, a moment at a time.

    A field that is empty, or blank, is a missing value. A field is read as its feature's kind asks: text as it is but
    without blanks around it, a number as Python reads one, a boolean as training does.

    Raises:
        MalformedRequest: it is no CSV in UTF-8.
        BatchRefused: its header does not fit the model.
    """
    lines = _Lines(body)
    header = _read_header(lines, signature, one)
    width = len(header.names)
    read = [_READ[feature.kind] for feature in signature.features]
    while piece := lines.take():
        yield
        if columns := split_columns(piece, width):
            counted = lines.count(len(columns[0]))
            for start in range(0, len(counted), _ROWS):
                these = slice(start, start + _ROWS)
                some = [column[these] for column in columns]
                yield from _take(header, signature, read, many, intake, some, counted[these])
            continue
        filled = [line for line in lines.parse(piece) if line[1]]
        fit = all(len(row) == width for _, row in filled)
        # if not, one by one, so that they are listed in their order
        step = _ROWS if fit else 1
        for start in range(0, len(filled), step):
            numbers, rows = zip(*filled[start : start + step], strict=True)
            if len(rows[0]) == width:
                yield from _take(header, signature, read, many, intake, list(zip(*rows, strict=True)), numbers)
            else:
                problem = f"it has {len(rows[0])} fields, and the header {width}."
                intake.refuse(header.names[len(rows[0]) :], problem, numbers[0])


def split_columns(piece: str, width: int) -> list[list[str]] | None:
    """Give the columns of some lines without a quote, at a fraction of what reading them one by one takes.

    None if there are quotes after all, or lines with more fields than columns, or fewer.
    """
    text = piece.replace("\r\n", "\n").removesuffix("\n")
    if '"' in text or "\r" in text or len(text) > _LONGEST_FIELD or width == 1:
        return None
    rows = text.count("\n") + 1
    fields = text.replace("\n", ",\n").split(",")
    # each line but the first begins with its end of line: are all of those in fields of the first column?
    first = "".join(fields[::width]).split("\n")
    if len(fields) != rows * width or len(first) != rows:
        return None
    return [first, *(fields[place::width] for place in range(1, width))]


def _take(
    header: _Header,
    signature: Signature,
    read: Sequence[_Convert],
    many: BatchSchema,
    intake: Intake,
    columns: Sequence[Sequence[str]],
    numbers: Sequence[int],
) -> Generator[None]:
    def column(place: int | None, convert: _Convert) -> tuple[list[Any], bool]:
        return ([None] * len(numbers), True) if place is None else convert(columns[place])

    (ids, _), (values, _) = column(header.customer_id, _read_texts), column(header.customer_value, _read_numbers)
    converted = [column(place, convert) for place, convert in zip(header.features, read, strict=True)]
    features, sure = zip(*converted, strict=True)
    yield

    def request(row: int) -> dict[str, Any]:
        given = {name: values[row] for name, values in zip(signature.names, features, strict=True)}
        worth = {} if header.customer_value is None else {"customer_value": values[row]}
        return {"customer_id": ids[row], "features": given, **worth}

    customers = many.read_columns(ids, values, features, sure)
    yield
    yield from intake.take(customers, len(numbers), request, numbers)


def write_csv(
    answers: Iterable[list[PredictionRecord]], reasons: int, by_profit: bool
) -> Generator[None, None, list[bytes]]:
    """Write a line for each answer, a moment at a time.

    What comes from the client, and would be a formula to a spreadsheet, gets an apostrophe in front.

    Args:
        answers: for some customers after those for others.
        reasons: how many there are of each.
        by_profit: whether to write what a customer is worth and what contacting it is expected to earn.
    """
    money = ["customer_value", "expected_profit"] if by_profit else []
    names = [
        *("customer_id", "churn_probability", "churn_predicted", "risk_band", "threshold", *money),
        *(f"{what}_{place + 1}" for place in range(reasons) for what in ("reason", "contribution")),
        *("missing", "unseen_category", "out_of_range", "model_version"),
    ]
    parts = [_join([names])]
    for some in answers:
        yield
        parts.append(_join(zip(*_columns(some, money), strict=True)))
        yield
    return parts


def _join(lines: Iterable[Sequence[str]]) -> bytes:
    return ("\r\n".join(map(",".join, lines)) + "\r\n").encode()


def _columns(answers: list[PredictionRecord], money: Sequence[str]) -> Iterator[Sequence[str]]:
    """Write the fields of some lines, column by column."""
    yield [_write_field(str(answer.customer_id)) if answer.customer_id is not None else "" for answer in answers]
    yield _write([answer.churn_probability for answer in answers])
    yield _write([answer.churn_predicted for answer in answers])
    yield [answer.risk_band for answer in answers]
    for name in ("threshold", *money):
        yield _write([getattr(answer.decision, name) for answer in answers])
    reasons = [reason for answer in answers for reason in answer.reasons]
    texts = [_TEXTS[reason.text] for reason in reasons]
    contributions = _write([reason.contribution for reason in reasons])
    each = len(reasons) // len(answers)
    for place in range(each):
        yield texts[place::each]
        yield contributions[place::each]
    qualities: list[Any] = [answer.input_quality for answer in answers]
    for name in ("missing", "unseen_category", "out_of_range"):
        yield [_TEXTS["; ".join(quality[name])] if quality[name] else "" for quality in qualities]
    yield [answer.model_version for answer in answers]


def _write(values: list[Any]) -> list[str]:
    """Write numbers and truths as JSON does, but None as nothing."""
    if values[0] is values[-1] and values.count(values[0]) == len(values):
        return ["" if values[0] is None else msgspec.json.encode(values[0]).decode()] * len(values)
    text = msgspec.json.encode(values)[1:-1].decode()
    fields = text.split(",")
    return ["" if field == "null" else field for field in fields] if "null" in text else fields


def _write_field(text: str) -> str:
    """Write a text as a field of a line: in quotes where it must be, and as no formula.

    What to take for a formula: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    if text.startswith(_FORMULA) and not isinstance(read_number(text), float):
        text = f"'{text}"
    return '"{}"'.format(text.replace('"', '""')) if _TO_QUOTE.search(text) else text


class _Fields(dict[str, str]):
    """What `_write_field` makes of texts that come again and again: of so many, then all are forgotten."""

    def __missing__(self, text: str) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = field = _write_field(text)
        return field


_TEXTS: Final = _Fields()


def write_example(request: Mapping[str, Any]) -> str:
    """Write one request as it would be posted."""
    text = io.StringIO()
    customer = {"customer_id": request["customer_id"], **request["features"]}
    csv.writer(text).writerows([customer, [str(v).lower() if isinstance(v, bool) else v for v in customer.values()]])
    return text.getvalue()


def _texts(fields: Sequence[str]) -> list[str | None]:
    texts: list[str | None] = list(map(str.strip, fields))
    return texts if all(texts) else [text or None for text in texts]


def _read_texts(fields: Sequence[str]) -> tuple[list[Any], bool]:
    return _texts(fields), True


def _read_numbers(fields: Sequence[str]) -> tuple[list[Any], bool]:
    """Read numbers; what is none stays text, for the schema to refuse."""
    try:
        # all at once, as most columns allow
        numbers: list[Any] = _NUMBERS.decode(f"[{','.join(fields)}]")
        if len(numbers) == len(fields):
            return numbers, True
    except msgspec.DecodeError:
        pass
    return [text and read_number(text) for text in _texts(fields)], False


def _read_truths(fields: Sequence[str]) -> tuple[list[Any], bool]:
    """Read booleans; what is none stays text, for the schema to refuse."""
    return [text and TRUTHS.get(text.lower(), text) for text in _texts(fields)], False


_NUMBERS: Final = msgspec.json.Decoder(list[float])
_READ: Final[dict[str, _Convert]] = {
    "numeric": _read_numbers,
    "boolean": _read_truths,
    "categorical": _read_texts,
}


class _Lines:
    """The lines of a CSV file in UTF-8, with or without a byte order mark."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline="")
        self._next = 1

    def take(self, characters: int = _PIECE) -> str:
        """Take so many characters, and the rest of the line; nothing at the end.

        Raises:
            MalformedRequest: there is no telling what they are.
        """
        with self._refusing():
            return self._text.read(characters) + self._read_line()

    def count(self, lines: int) -> range:
        """Give the numbers of the next lines."""
        self._next += lines
        return range(self._next - lines, self._next)

    def parse(self, piece: str) -> Iterator[_Line]:
        """Read lines that were taken, and those that belong to the last of them; a blank one has no fields.

        Raises:
            MalformedRequest: they are no CSV.
        """
        lines = list(io.StringIO(piece, newline=""))
        more = iter(self._read_line, "")
        reader = csv.reader(map(_refuse_endless, chain(lines, more)), strict=True)
        first = self._next
        with self._refusing():
            while reader.line_num < len(lines):
                number, row = self._next, next(reader)
                self._next = first + reader.line_num
                yield number, row

    def _read_line(self) -> str:
        """Read a line, or of one that is too long no more than shows that it is."""
        return self._text.readline(_LONGEST_LINE + 1)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            byte, line = f"{error.object[error.start]:#04x}", self._find_no_text()
            raise MalformedRequest(
                f"The body is not UTF-8 text: byte {byte} in or after line {line}; save the file as UTF-8."
            ) from None
        except csv.Error as error:
            raise MalformedRequest(f"The body is not valid CSV: line {self._next}: {error}.") from None

    def _find_no_text(self) -> int:
        """Give the number of the first line that is not UTF-8."""
        try:
            self._body.decode()
        except UnicodeDecodeError as error:
            return self._body.count(b"\n", 0, error.start) + 1
        return self._next


def _refuse_endless(line: str) -> str:
    if len(line) > _LONGEST_LINE:
        raise csv.Error(f"it has more than {_LONGEST_LINE:,} characters")
    return line


def _read_header(lines: _Lines, signature: Signature, schema: RequestSchema) -> _Header:
    tried = (line for _ in range(_BLANK) for line in lines.parse(lines.take(0)))
    number, row = next((line for line in tried if line[1]), (1, []))
    names = [name.strip() for name in row]
    if not names:
        raise BatchRefused("The body is empty; a line with the names of the columns was expected first.", ("body",))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        named = ", ".join(map(repr, twice[:_NAMED]))
        raise BatchRefused(f"line {number}: {named} stands more than once in the header.", twice)
    if len(names) == 1 and (mark := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise BatchRefused(f"line {number}: columns are separated by commas, not by {mark!r}.", ("body",))
    place_of = {name: place for place, name in enumerate(names)}
    features = [place_of.pop(name, None) for name in signature.names]
    # what is no feature is a part of the request; the schema knows whether it may be, and says it if not
    parts = {name: None for name in ("customer_id", "customer_value") if name in place_of}
    others = [name for name in place_of if name not in parts]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in others[:_UNKNOWN_NAMES]]
    try:
        schema.read(to_json({**parts, "features": dict.fromkeys(shown)}))
    except FeatureSchemaMismatch as error:
        of_all = f" In all, {len(others):,} columns are no features." if len(others) > len(shown) else ""
        raise BatchRefused(f"line {number}: {error}{of_all}", error.fields) from None
    return _Header(names, place_of.get("customer_id"), place_of.get("customer_value"), features)
