"""Keeps the memory of a process that replaces its model small, and its garbage collector quick."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""What mallopt calls them in glibc's malloc.h."""

_KEPT_BYTES: Final = 1 << 17


def give_back_what_is_freed() -> None:
    """Have the C library, where it is glibc, return memory to the system as it is freed.

    Left alone, it keeps more for itself the larger the pieces are that it sees, and so for each thread: after a few
    large batches a fifth of the process. To be called before there are threads.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust:
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)
        adjust(_MMAP_THRESHOLD, _KEPT_BYTES)
        adjust(_ARENA_MAX, 1)


def keep_what_is_there() -> None:
    """Take all objects that exist out of later garbage collections.

    Modules and routes stay to the end: looking through all of them takes 15 ms each time, and requests wait for it.
    """
    gc.freeze()
    gc.enable()
    _trim()


def release_memory() -> None:
    """Give back to the system what is no longer used: the C library would keep the memory of every model replaced."""
    gc.collect()
    _trim()


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim:
        trim(0)
