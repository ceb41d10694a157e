"""Keeps freed memory for the next batch, which needs as much again."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""What mallopt calls them in glibc's malloc.h."""

_KEPT_BYTES: Final = 1 << 30


def keep_what_is_freed() -> None:
    """Have the C library, where it is glibc, and Arrow's allocator give nothing back that the next batch would ask for.

    It would be cleared anew each time, which took up to a fifth of the time. To be called before there are threads, and
    before Arrow is loaded, which reads the environment then.
    """
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust:
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)
        adjust(_MMAP_THRESHOLD, _KEPT_BYTES)
        adjust(_ARENA_MAX, 1)
