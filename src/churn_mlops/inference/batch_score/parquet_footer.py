"""Moves the footer of a Parquet file along with its content: so that parts written apart become one file unread.

All positions in a footer are counted from the start of its file. Where the content lies further back in a larger file,
they grow by as much; nothing else changes. The footer is a struct of Apache Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), whose fields are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from typing import Any, Final

MAGIC: Final = b"PAR1"

_COLUMN_META_DATA: Final = {9: None, 10: None, 11: None}  # data page, index page and dictionary page
_COLUMN_CHUNK: Final = {2: None, 3: _COLUMN_META_DATA, 4: None, 6: None}  # the chunk, its offset and column indexes
_ROW_GROUP: Final = {1: _COLUMN_CHUNK, 5: None}
_FILE_META_DATA: Final = {4: _ROW_GROUP}
"""Which fields hold positions: None where a field is one, else those inside it."""

_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12


def split_file(content: bytes) -> tuple[bytes, bytes]:
    """Split the content of a Parquet file into what lies between its first magic bytes and its footer, and that."""
    length = int.from_bytes(content[-8:-4], "little")
    return content[len(MAGIC) : -8 - length], content[-8 - length : -8]


def join_footer(footer: bytes) -> bytes:
    """Give the end of a Parquet file."""
    return footer + len(footer).to_bytes(4, "little") + MAGIC


def shift_footer(footer: bytes, by: int) -> bytes:
    """Add a number of bytes, which may be negative, to all positions in a footer."""
    shifting = _Shifting(footer, by)
    shifting.copy_struct(_FILE_META_DATA)
    return bytes(shifting.written)


class _Shifting:
    """Reads a struct of the compact protocol, and writes it as it was but for the positions."""

    def __init__(self, content: bytes, by: int) -> None:
        self._content = content
        self._at = 0
        self._by = by
        self.written = bytearray()

    def copy_struct(self, positions: dict[int, Any]) -> None:
        field = 0
        while header := self._copy(1)[0]:
            kind, step = header & 15, header >> 4
            field = field + step if step else _unzigzag(self._copy_varint())
            if kind in _INTEGERS and field in positions:
                self._shift_varint()
            elif kind not in _BOOLEANS:  # which are in the header
                self._copy_value(kind, positions.get(field) or {})

    def _copy_value(self, kind: int, positions: dict[int, Any]) -> None:
        if kind in _INTEGERS:
            self._copy_varint()
        elif kind == _BINARY:
            self._copy(self._copy_varint())
        elif kind == _STRUCT:
            self.copy_struct(positions)
        elif kind in _LISTS:
            header = self._copy(1)[0]
            size = header >> 4 if header >> 4 < 15 else self._copy_varint()
            for _ in range(size):
                self._copy_value(header & 15, positions)
        elif kind in (_BYTE, _DOUBLE, *_BOOLEANS):
            self._copy(8 if kind == _DOUBLE else 1)
        else:
            raise ValueError(f"a Parquet footer has no values of kind {kind}")

    def _copy(self, size: int) -> bytes:
        copied = self._content[self._at : self._at + size]
        self._at += size
        self.written += copied
        return copied

    def _copy_varint(self) -> int:
        value = self._read_varint()
        self.written += _varint(value)
        return value

    def _shift_varint(self) -> None:
        position = _unzigzag(self._read_varint())
        # 0 is what libraries write where there is nothing
        self.written += _varint(_zigzag(position + self._by if position else 0))

    def _read_varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._content[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)


def _unzigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)
