"""Cuts record batches anew, so that what is in one does not hang on how a file was written or where reading began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def cut(batches: Iterable[pa.RecordBatch], rows: int, skipped: int = 0) -> Iterator[pa.RecordBatch]:
    """Leave out the first rows, and give the rest in batches of so many rows; the last may have fewer."""
    kept: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        rest = batch.slice(min(skipped, len(batch)))
        skipped -= len(batch) - len(rest)
        while size + len(rest) >= rows:
            yield _join([*kept, rest.slice(0, rows - size)])
            rest = rest.slice(rows - size)
            kept, size = [], 0
        if len(rest):
            kept.append(rest)
            size += len(rest)
    if kept:
        yield _join(kept)


def _join(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    pieces = [piece for piece in pieces if len(piece)]
    if len(pieces) == 1:
        return pieces[0]
    return pa.Table.from_batches(pieces).unify_dictionaries().combine_chunks().to_batches()[0]
