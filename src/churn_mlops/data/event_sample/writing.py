"""Writes a sample log to a folder: blocks drawn on all processors, written in order, in place once complete."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.atomic_files import explain_unwritable, sync_folder
from churn_mlops.cpu_quota import available_cpus
from churn_mlops.data.event_sample.blocks import BLOCK_CUSTOMERS, Block, draw_block
from churn_mlops.data.event_sample.calendar import FEWEST_DAYS, MOST_DAYS, Calendar
from churn_mlops.data.event_sample.dirt import add_dirt
from churn_mlops.data.event_sample.tables import (
    CANCELLATIONS,
    CUSTOMERS,
    EVENTS,
    make_cancellations,
    make_customers,
    make_events,
)
from churn_mlops.errors import SampleRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

EVENTS_FOLDER: Final = "events"
CUSTOMERS_FILE: Final = "customers.parquet"
CANCELLATIONS_FILE: Final = "cancellations.parquet"

_FILE_ROWS: Final = 10_000_000
_GROUP_ROWS: Final = 250_000
_MOST_WORKERS: Final = 4
"""One thread writes as fast as two or three draw."""


@dataclass(frozen=True, slots=True)
class Written:
    """What has been written.

    Attributes:
        customers: how many.
        events: rows of the log.
        customer_rows: of their table.
        cancellations: rows.
    """

    customers: int = 0
    events: int = 0
    customer_rows: int = 0
    cancellations: int = 0


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How large a log is to be.

    Attributes:
        days: that it covers.
        count: how many customers or events.
        of: what is counted; customers are whole, so that there are so many events at least.
    """

    days: int
    count: int
    of: Literal["customers", "events"] = "customers"

    def __post_init__(self) -> None:
        if not FEWEST_DAYS <= self.days <= MOST_DAYS:
            raise SampleRefused(
                f"--days is {self.days}: it should be {FEWEST_DAYS} to {MOST_DAYS}. Fewer days have no room for "
                f"a season, a price rise, and snapshots to train and to test on."
            )
        if self.count < 1:
            raise SampleRefused(f"--{self.of} is {self.count}: it should be 1 or more.")

    def share_written(self, written: Written) -> float:
        """Say how much of it is written, 1 being all."""
        return (written.customers if self.of == "customers" else written.events) / self.count

    def blocks(self) -> Iterator[int]:
        """Number the blocks that may be needed: without end where events decide."""
        return count() if self.of == "events" else iter(range(-(-self.count // BLOCK_CUSTOMERS)))


def write_sample(
    output: Path, size: SampleSize, seed: int, dirty: bool = False, observe: Callable[[Written], None] = lambda _: None
) -> Written:
    """Write a log: `events/part-*.parquet`, `customers.parquet` and `cancellations.parquet` (schemas in `tables`).

    The same arguments give the same bytes, on the same machine and versions of NumPy and Arrow. Memory is that of a
    few blocks, whatever the size.

    Args:
        output: the folder, which must not exist or be empty.
        size: how many customers or events, over how many days.
        seed: draws everything.
        dirty: whether rows are added that should be refused.
        observe: told whenever a block has been written.

    Raises:
        SampleRefused: the folder holds something, or the seed is negative.
        NotWritable: the folder above refuses.
    """
    if seed < 0:
        raise SampleRefused(f"--seed is {seed}: it should be 0 or more.")
    calendar = Calendar(size.days, seed)
    written = Written()
    with _in_place_when_complete(output) as folder, ExitStack() as files:
        events = files.enter_context(_Output(folder / EVENTS_FOLDER, EVENTS, _FILE_ROWS))
        customers = files.enter_context(_Output(folder / CUSTOMERS_FILE, CUSTOMERS))
        cancellations = files.enter_context(_Output(folder / CANCELLATIONS_FILE, CANCELLATIONS))
        blocks = files.enter_context(closing(_draw_ahead(calendar, size.blocks())))
        for block in blocks:
            kept = _count_kept(block, size, written)
            rows = block.rows if kept == BLOCK_CUSTOMERS else block.rows.take(block.rows.customer < kept)
            if dirty:
                rows = add_dirt(rows, block.number, calendar)
            events.write(make_events(block, rows, calendar))
            customers.write(make_customers(block, kept, calendar))
            cancellations.write(make_cancellations(block, kept, calendar))
            written = Written(written.customers + kept, events.rows, customers.rows, cancellations.rows)
            observe(written)
            if size.share_written(written) >= 1:
                break
    return written


def _count_kept(block: Block, size: SampleSize, written: Written) -> int:
    """Count the customers of a block that belong to the log: all, or as many as are still wanted."""
    if size.of == "customers":
        return min(BLOCK_CUSTOMERS, size.count - written.customers)
    reached = np.bincount(block.rows.customer, minlength=BLOCK_CUSTOMERS).cumsum()
    return min(BLOCK_CUSTOMERS, 1 + int(np.searchsorted(reached, size.count - written.events)))


def _draw_ahead(calendar: Calendar, numbers: Iterator[int]) -> Generator[Block]:
    """Draw the blocks of some numbers, in order, on all processors and a few of them before they are asked for."""
    workers = min(_MOST_WORKERS, available_cpus())
    with ThreadPoolExecutor(workers) as pool:
        drawing = deque(pool.submit(draw_block, number, calendar) for number in islice(numbers, workers + 1))
        try:
            while drawing:
                yield drawing.popleft().result()
                drawing.extend(pool.submit(draw_block, number, calendar) for number in islice(numbers, 1))
        finally:
            pool.shutdown(cancel_futures=True)


class _Output:
    """A Parquet file, or a folder of them if it may have only so many rows each; rows are gathered into groups."""

    def __init__(self, path: Path, schema: pa.Schema, file_rows: int | None = None) -> None:
        self._path = path
        self._schema = schema
        self._whole = [field.name for field in schema if pa.types.is_timestamp(field.type) or field.type == pa.int64()]
        self._file_rows = file_rows
        self._waiting: list[pa.Table] = []
        self._rows_of_file = 0
        self.rows = 0
        self._files = 0
        if file_rows is not None:
            path.mkdir()
        self._writer = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self.rows += table.num_rows
        if sum(part.num_rows for part in self._waiting) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._file_rows is not None and self._rows_of_file >= self._file_rows:
            self._writer.close()
            self._writer = self._open()
        group = pa.concat_tables([self._schema.empty_table(), *self._waiting]).unify_dictionaries()
        self._waiting.clear()
        self._rows_of_file += group.num_rows
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))

    def _open(self) -> pa_parquet.ParquetWriter:
        name = self._path if self._file_rows is None else self._path / f"part-{self._files:05}.parquet"
        self._rows_of_file = 0
        self._files += 1
        return pa_parquet.ParquetWriter(
            name,
            self._schema,
            compression="zstd",
            compression_level=1,
            # whole numbers and times by what they differ from the one before: smaller and faster than a dictionary
            column_encoding=dict.fromkeys(self._whole, "DELTA_BINARY_PACKED"),
            use_dictionary=[column for column in self._schema.names if column not in self._whole],
            store_schema=False,
        )


@contextmanager
def _in_place_when_complete(output: Path) -> Iterator[Path]:
    """Give a folder beside the one that is wanted, and put it there once all is written; else it vanishes."""
    output = output.resolve()
    if output.exists() and not output.is_dir():
        raise SampleRefused(f"{output} is a file: name a folder that does not exist yet, or is empty.")
    if output.is_dir() and any(output.iterdir()):
        raise SampleRefused(
            f"{output} is not empty, and nothing in it is overwritten: name another folder, or remove it."
        )
    if output.is_mount():
        raise SampleRefused(
            f"{output} is a mount, which only appears as a whole: name a folder in it, as {output / 'log'}."
        )
    with explain_unwritable(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        unfinished.replace(output)
    except BaseException:
        shutil.rmtree(unfinished)
        raise
    sync_folder(output.parent)
