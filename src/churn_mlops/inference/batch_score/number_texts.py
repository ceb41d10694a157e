"""Writes many numbers as texts at once: in pieces that stand in a table, and are copied one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.int32]

PIECES: Final = 3
"""How many pieces a number has: what comes before the point, and six digits after it; or before each separator."""


def join_pieces(table: pa.Array, places: Places) -> pa.Array:
    """Join pieces of texts, text [rows].

    Arrow puts the texts that it takes one behind the other. So all is done once they are taken: a joined text begins
    where its first piece does.

    Args:
        table: text, the pieces there are.
        places: [rows, pieces], which of them each text consists of.
    """
    taken = table.take(pa.array(places.ravel()))
    _, ends, content = taken.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[: places.size + 1]
    joined = np.ascontiguousarray(offsets[:: places.shape[1]])
    return pa.StringArray.from_buffers(len(places), pa.py_buffer(joined), content or pa.py_buffer(b""))


def split_numbers(numbers: Floats, first: int) -> tuple[Places, pa.Array]:
    """Find the pieces of which numbers consist when they are written as `f"{number:,.6g}"` does.

    Python takes a third of a microsecond for each. Where that gives no exponent, a number is scaled to six digits
    before the point and rounded, which are the digits that are written. What is too near to the middle between two
    roundings is left to Python, each that differs once.

    Args:
        numbers: [rows], none of them NaN.
        first: where texts beside those in `NUMBER_PIECES` will stand.

    Returns:
        Places in the pieces, [rows, 3], and the texts beside them.
    """
    sizes = np.abs(numbers)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        decimals = np.clip(5 - np.floor(np.log10(sizes)), 0, 9).astype(np.intp)
        scaled = sizes * _POWERS.take(decimals)
        rounded = np.rint(scaled)
        is_clear = np.abs(np.abs(scaled - rounded) - 0.5) > _NEAR
    is_written = (sizes >= _LEAST) & (rounded >= 1e5) & (rounded < 1e6) & is_clear | (sizes == 0)
    digits = np.where(is_written, rounded, 0).astype(np.int32)
    places = _split_digits(digits, decimals, np.signbit(numbers))
    rows = np.flatnonzero(~is_written)
    if not rows.size:
        return places, pa.array([], pa.string())
    distinct = pa.array(numbers[rows], from_pandas=False).dictionary_encode()
    texts = pa.array([f"{number:,.6g}" for number in distinct.dictionary.to_pylist()], pa.string())
    places[rows] = NOTHING
    places[rows, 0] = distinct.indices.to_numpy() + first
    return places, texts


def _split_digits(digits: Places, decimals: npt.NDArray[np.intp], negative: npt.NDArray[np.bool_]) -> Places:
    """Find the pieces of numbers of six digits, of which so many are decimals, or of 0."""
    places = np.empty((len(digits), PIECES), dtype=np.int32)
    power = _WHOLE_POWERS.take(decimals)
    whole = digits // power
    # six digits after the point, or those after the zeros that come first
    fraction = (digits - whole * power) * _UP_TO_SIX.take(decimals)
    high = fraction // _THOUSAND
    low = fraction - high * _THOUSAND
    places[:, 0] = whole + _THOUSAND * negative
    places[:, 1] = _AFTER_POINT + high + _THOUSAND * ((low == 0) + 2 * _ZEROS.take(decimals))
    places[:, 2] = NOTHING + low
    large = np.flatnonzero(whole >= _THOUSAND)
    if large.size:
        thousands = whole[large] // _THOUSAND
        places[large, 0] = _SEPARATED + thousands + _THOUSAND * negative[large]
        places[large, 1] = _GROUP + whole[large] - thousands * _THOUSAND
        places[large, 2] = _HUNDREDTHS + fraction[large] // (_THOUSAND * 10)
    return places


_LEAST: Final = 1e-4
"""Smaller numbers are written with an exponent."""

_NEAR: Final = 1e-6
_POWERS: Final = 10.0 ** np.arange(10)
_THOUSAND: Final = np.int32(1000)

# six digits are less than a power that an int32 cannot hold
_WHOLE_POWERS: Final = np.minimum(_POWERS, 10**6).astype(np.int32)
_UP_TO_SIX: Final = (10 ** np.maximum(6 - np.arange(10), 0)).astype(np.int32)
_ZEROS: Final = np.maximum(np.arange(10) - 6, 0).astype(np.int32)

_SEPARATED: Final = 2000
_AFTER_POINT: Final = 2 * _SEPARATED
_GROUP: Final = _AFTER_POINT + 8000
NOTHING: Final = _GROUP + 1000
"""The place of the empty text."""

_HUNDREDTHS: Final = NOTHING + 1000


def _list_pieces() -> Iterator[str]:
    for separator in ("", ","):
        for sign in ("", "-"):
            yield from (f"{sign}{whole}{separator}" for whole in range(1000))
    for zeros in ("", "0", "00", "000"):
        yield from (f".{zeros}{high:03d}" for high in range(1000))
        yield from (f".{zeros}{high:03d}".rstrip("0") if high else "" for high in range(1000))
    yield from (f"{group:03d}" for group in range(1000))
    yield from (f"{low:03d}".rstrip("0") for low in range(1000))
    yield from (f".{hundredths:02d}".rstrip("0").rstrip(".") for hundredths in range(100))


NUMBER_PIECES: Final = pa.array(_list_pieces(), pa.string())
"""All that a number of six digits can consist of."""
