"""Keeps freed memory for the next batch, which needs as much again."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""What mallopt calls them in glibc's malloc.h."""

_KEPT_BYTES: Final = 1 << 30


def keep_what_is_freed() -> None:
    """Have the C library, where it is glibc, give nothing back to the system that the next batch would ask for.

    It would be cleared anew each time, which took up to a fifth of the time. To be called before there are threads.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust:
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)
        adjust(_MMAP_THRESHOLD, _KEPT_BYTES)
        adjust(_ARENA_MAX, 1)
