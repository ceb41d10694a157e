"""Shows how far a run is: a bar and the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import TaskID

    from churn_mlops.inference.batch_score.job import Progress

_SECONDS_BETWEEN_LINES: Final = 10.0


class Watcher(Protocol):
    """Shows what a run does."""

    def begin(self, step: str) -> None:
        """Show what is done before there are customers."""

    def __call__(self, far: Progress) -> None:
        """Show how far the run is."""


@contextmanager
def show_progress(console: Console) -> Iterator[Watcher]:
    """Give an observer that shows a bar and the time left on a terminal, and a line every ten seconds elsewhere."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with ProgressBar(*columns, console=console, transient=True) as bar:
        yield _Bar(bar, bar.add_task("reading", total=None))


class _Bar:
    """Moves to and fro while there are no customers; then it grows."""

    def __init__(self, bar: ProgressBar, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def begin(self, step: str) -> None:
        self._bar.update(self._task, description=step)

    def __call__(self, far: Progress) -> None:
        self._bar.update(self._task, total=1.0, completed=far.done, description=f"{far.customers:,} customers")


class _Lines:
    """Writes a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written_at = time.monotonic()
        self._first: tuple[float, float] | None = None

    def begin(self, step: str) -> None:
        self._say(step)

    def __call__(self, far: Progress) -> None:
        now = time.monotonic()
        # what an earlier run had done, and the first batch of this one, took no time of this clock
        self._first = self._first or (now, far.done)
        began, done = self._first
        if now - self._written_at < _SECONDS_BETWEEN_LINES or far.done <= done:
            return
        self._written_at = now
        left = (now - began) * (1 - far.done) / (far.done - done)
        self._say(f"{far.customers:,} customers, {far.done:.0%}, about {left:,.0f} s left")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
