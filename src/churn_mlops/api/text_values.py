"""Reads values that are written as texts: fields of a CSV file, and what an expression computes to."""

from __future__ import annotations

from typing import Final

TRUTHS: Final = {"true": True, "yes": True, "t": True, "y": True, "1": True, "1.0": True}
TRUTHS.update(dict.fromkeys(("false", "no", "f", "n", "0", "0.0"), False))
"""What a text of a boolean means, in small letters: as in training, where a kind was given."""


def read_number(text: str) -> float | str:
    """Read a number as Python does, but for underscores; what is none stays text, for the caller to refuse."""
    if not text.isascii() or "_" in text:
        return text
    try:
        return float(text)
    except ValueError:
        return text
