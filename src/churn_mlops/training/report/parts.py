"""What a page is made of: sections of sentences, figures and tables, ready to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup


@dataclass(frozen=True)
class Card:
    """One headline figure.

    Attributes:
        title: what it measures.
        value: the figure.
        interval: its 95 % interval.
        beside: which way is better, and what it must beat; a line each.
    """

    title: str
    value: str
    interval: str
    beside: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: its caption.
        header: one title per column.
        rows: as many cells each.
        words: how many columns, from the left, hold words; the others hold figures.
        folded: whether it opens with a click only.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    folded: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure with what there is to say about it.

    Attributes:
        title: what it shows.
        svg: an `<svg>` element.
        notes: sentences under it.
        table: the same figures in writing.
        tall: whether it has two smaller ones beside it, one above the other.
    """

    title: str
    svg: Markup | None
    notes: tuple[str, ...] = ()
    table: Table | None = None
    tall: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own; it is never empty.

    Attributes:
        anchor: what a link within the page names.
        title: the heading.
        sentences: paragraphs that come first.
        cards: headline figures.
        drawings: figures.
        tables: tables.
        facts: what is said, by what it is about; several may be about the same.
    """

    anchor: str
    title: str
    sentences: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def cut_rows(rows: Iterable[tuple[str, ...]], most: int) -> tuple[tuple[str, ...], ...]:
    """Keep the first rows of a table, and say in a last one how many there are more."""
    found = tuple(rows)
    if len(found) <= most:
        return found
    rest = len(found) - most + 1
    return (*found[: most - 1], (f"… and {rest:,} more", *[""] * (len(found[0]) - 1)))
