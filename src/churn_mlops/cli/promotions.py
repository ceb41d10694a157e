"""Shows what a version was judged by and how the champion changed: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from churn_mlops.registry.history import find_unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from churn_mlops.registry.history import Move
    from churn_mlops.training.gate import Verdict

_WORDS: Final = {True: "passed", False: "failed", None: "skipped"}
_STYLES: Final = {"passed": "green", "failed": "bold red", "skipped": "yellow"}
_CHECK_HEADER: Final = ("check", "result", "figures")
_MOVE_HEADER: Final = ("time (UTC)", "what", "from", "to", "on what grounds")


def show_checks(console: Console, verdict: Verdict) -> None:
    """Show every check of a verdict with its figures."""
    rows = [(check.name, _WORDS[check.passed], check.figures) for check in verdict.checks]
    _show(console, _CHECK_HEADER, rows)


def show_history(console: Console, moves: Sequence[Move], champion: str | None) -> None:
    """Show every promotion and rollback, newest first."""
    if not moves:
        console.print("Nothing was promoted yet.", highlight=False)
        return
    unfinished = find_unfinished(moves, champion)
    rows = [_describe(move, failed) for move, failed in zip(moves, unfinished, strict=True)]
    _show(console, _MOVE_HEADER, rows[::-1])


def _describe(move: Move, is_unfinished: bool) -> tuple[str, ...]:
    what = ("forced " if move.forced else "") + move.action + (" (not carried out)" if is_unfinished else "")
    when = f"{move.decided_at:%Y-%m-%d %H:%M:%S}"
    return when, what, move.from_version or "none", move.to_version, " ".join(_list_grounds(move))


def _list_grounds(move: Move) -> Iterable[str]:
    if move.reason is not None:
        yield f"Reason given: {' '.join(move.reason.split()).rstrip('.')}."
    passed = [check.passed for check in move.checks]
    if passed:
        yield f"{passed.count(True)} of {len(passed)} checks passed."
    yield from (f"Failed: {check.figures}" for check in move.checks if check.passed is False)
    if move.action == "promote" and not passed:
        yield "It was not judged."


def _show(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if console.is_terminal:
        console.print(_table(header, rows))
        return
    for row in (header, *rows):
        console.print(" | ".join(row), markup=False, highlight=False, soft_wrap=True)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in header:
        table.add_column(title, overflow="fold")  # a name is to be copied whole
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return table
