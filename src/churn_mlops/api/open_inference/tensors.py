"""Tensors from and to the bytes of a message: values in its JSON, or in binary form behind it.

The binary form is Triton's binary tensor data extension: little-endian, row by row, without padding; a text is its
length as four bytes, then its bytes in UTF-8. The header Inference-Header-Content-Length says where the JSON ends.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from churn_mlops.api.responses import shorten
from churn_mlops.errors import BodyTooLarge, FeatureSchemaMismatch, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from churn_mlops.api.open_inference.messages import InferInput

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Column = Numbers | list[str | None]
"""The values of a tensor: float64 [rows] with NaN where one is missing, or a text or None for each row."""

BYTES: Final = "BYTES"
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("u1"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes of the protocol that are numbers, in their binary form."""

_LENGTH: Final = struct.Struct("<I")
_EITHER_HEADER: Final = zlib.MAX_WBITS | 32
"""Tells zlib to accept the header of gzip as well as its own."""

_STRICT: Final = ConfigDict(strict=True)


def _describe_values(datatype: str) -> tuple[TypeAdapter[list[Any]], str]:
    """Give what reads a JSON list of a datatype, and the words for one value."""
    dtype = DTYPES.get(datatype)
    if dtype is None:
        return TypeAdapter(list[str | None], config=_STRICT), "a text"
    if datatype == "BOOL":
        return TypeAdapter(list[bool | None], config=_STRICT), "true or false"
    if dtype.kind == "f":
        return TypeAdapter(list[float | None], config=_STRICT), "a number"
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    whole = Annotated[int, Field(ge=least, le=most)]
    return TypeAdapter(list[whole | None], config=_STRICT), f"a whole number from {least} to {most}"


_VALUES: Final = {datatype: _describe_values(datatype) for datatype in (*DTYPES, BYTES)}


def refuse(name: str, problem: str, row: int | None = None) -> FeatureSchemaMismatch:
    """Say what is wrong with a tensor, or with one row of it (from 0)."""
    return FeatureSchemaMismatch(f"{name!r}{'' if row is None else f', row {row},'} {problem}.", (name,))


def inflate(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo the compression that a client chose: gzip or deflate (RFC 9110, section 8.4.1).

    Raises:
        MalformedRequest: it is another one, or the body is not compressed that way.
        BodyTooLarge: there is more in it than the service takes.
    """
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise MalformedRequest(f"Content-Encoding is {shorten(encoding)}; gzip, deflate or none was expected.")
    inflater = zlib.decompressobj(_EITHER_HEADER)
    try:
        inflated = inflater.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise MalformedRequest(f"The body is not compressed with {encoding}.") from None
    if len(inflated) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    if not inflater.eof:
        raise MalformedRequest(f"The body, compressed with {encoding}, was cut short.")
    return inflated


def split_body(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """Cut a body into its JSON and the binary data behind it.

    Raises:
        MalformedRequest: the header Inference-Header-Content-Length is no length within the body.
    """
    if header_length is None:
        return body, memoryview(b"")
    if not re.fullmatch("[0-9]{1,18}", header_length) or int(header_length) > len(body):
        problem = f"a whole number from 0 to the body's length, {len(body)}, was expected"
        raise MalformedRequest(f"Inference-Header-Content-Length is {shorten(header_length)}; {problem}.")
    return body[: int(header_length)], memoryview(body)[int(header_length) :]


def cut_binary(inputs: Iterable[InferInput], binary: memoryview) -> dict[str, memoryview]:
    """Give each tensor that is sent in binary form its bytes: they follow one another in the order of the tensors.

    Raises:
        MalformedRequest: there are fewer or more than the tensors say.
    """
    parts: dict[str, memoryview] = {}
    start = 0
    for tensor in inputs:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            continue
        if type(size) is not int or size < 0:
            raise MalformedRequest(
                f"binary_data_size of {tensor['name']!r} is {shorten(size)}; a number of bytes was expected."
            )
        parts[tensor["name"]] = binary[start : start + size]
        start += size
    if start != len(binary):
        raise MalformedRequest(
            f"{len(binary)} bytes follow the JSON, and the tensors' binary_data_size add up to {start}; the header "
            f"Inference-Header-Content-Length says where the JSON ends."
        )
    return parts


def read_column(tensor: InferInput, binary: memoryview | None) -> Column:
    """Read a tensor of shape [rows] or [rows, 1], from its JSON values or its bytes.

    Raises:
        FeatureSchemaMismatch: its datatype, shape or a value is not what it should be.
    """
    name, datatype, shape, data = tensor["name"], tensor["datatype"], tensor["shape"], tensor.get("data")
    if datatype not in _VALUES:
        raise refuse(name, f"has the datatype {shorten(datatype)}; one of {', '.join(_VALUES)} was expected")
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise refuse(name, f"has the shape {shorten(shape)}; [rows] or [rows, 1] was expected")
    if (data is None) == (binary is None):
        raise refuse(name, "has to have its values either under 'data' or, with 'binary_data_size', after the JSON")
    column = _read_values(name, datatype, data or []) if binary is None else _read_binary(name, datatype, binary)
    if len(column) != shape[0]:
        raise refuse(name, f"has {len(column)} values, and its shape is {shape}")
    return column


def flatten(data: list[Any]) -> list[Any]:
    """Give the values of a tensor of shape [rows, 1] as those of one of shape [rows], and others as they are."""
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]


def _read_values(name: str, datatype: str, data: list[Any]) -> Column:
    flat = flatten(data)
    adapter, expected = _VALUES[datatype]
    try:
        values = adapter.validate_python(flat)
    except ValidationError as error:
        row = int(error.errors(include_url=False)[0]["loc"][0])
        raise refuse(name, f"is {shorten(flat[row])}; {expected} or null was expected", row) from None
    return values if datatype == BYTES else np.array(values, dtype=np.float64)


def _read_binary(name: str, datatype: str, binary: memoryview) -> Column:
    if datatype == BYTES:
        return _read_texts(name, binary)
    dtype = DTYPES[datatype]
    if len(binary) % dtype.itemsize:
        raise refuse(name, f"has {len(binary)} bytes; a multiple of {dtype.itemsize} was expected of {datatype}")
    return np.frombuffer(binary, dtype).astype(np.float64)


def _read_texts(name: str, binary: memoryview) -> list[str | None]:
    texts: list[str | None] = []
    start = 0
    while start < len(binary):
        end = start + _LENGTH.size
        if end <= len(binary):
            start, end = end, end + _LENGTH.unpack_from(binary, start)[0]
        if end > len(binary):
            raise refuse(name, "is cut short; a length of four bytes and as many bytes were expected", len(texts))
        try:
            texts.append(str(binary[start:end], "utf-8"))
        except UnicodeDecodeError:
            raise refuse(name, "is no text in UTF-8", len(texts)) from None
        start = end
    return texts


def write_values(datatype: str, values: list[Any], *, binary: bool) -> bytes:
    """Write some values of a tensor in binary form, or as they stand in its JSON, without the brackets."""
    if not binary:
        return msgspec.json.encode(values)[1:-1]
    if datatype != BYTES:
        return np.array(values, dtype=DTYPES[datatype]).tobytes()
    texts = [text.encode() for text in values]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
