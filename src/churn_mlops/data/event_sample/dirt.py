"""Adds rows to a log that nobody should believe, a few of each kind, for those who want to see them refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.blocks import BLOCK_BITS, BLOCK_CUSTOMERS, Rows
from churn_mlops.data.event_sample.calendar import SECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.data.event_sample.calendar import Calendar

NOTHING: Final = -1
"""Stands for a customer or a type that is null."""

NO_TIME: Final = np.iinfo(np.int64).min
"""Stands for a time that is null."""

UNKNOWN_CUSTOMER: Final = BLOCK_CUSTOMERS
"""Place of a customer that the customers table does not have."""

DIRT_SHARE: Final = 0.0005
"""Rows of each kind, against those that are in order."""


def add_dirt(rows: Rows, number: int, calendar: Calendar) -> Rows:
    """Add copies of some rows, each with one thing wrong and an event id of its own; what was there stays as it is.

    Args:
        rows: of one block.
        number: of the block.
        calendar: the days of the log.
    """
    if not len(rows):
        return rows
    random = np.random.default_rng((calendar.seed, number, calendar.days, 1))
    count = 1 + int(DIRT_SHARE * len(rows))
    dirt = Rows.join(list(_spoil(random, rows, count, calendar)))
    first_id = (number << BLOCK_BITS) + (1 << (BLOCK_BITS - 1))
    return Rows.join([rows, replace(dirt, event_id=first_id + np.arange(len(dirt)))])


def _spoil(random: np.random.Generator, rows: Rows, count: int, calendar: Calendar) -> Iterator[Rows]:
    def some() -> Rows:
        return rows.take(random.integers(0, len(rows), count))

    long_ago = -int((calendar.start - np.datetime64("1970-01-01", "s")).astype(np.int64))
    yield replace(some(), customer=np.full(count, NOTHING, np.int32))
    yield replace(some(), customer=np.full(count, UNKNOWN_CUSTOMER, np.int32))
    yield replace(some(), type=np.full(count, NOTHING, np.int8))
    yield replace(some(), second=np.full(count, NO_TIME))
    yield replace(some(), second=np.full(count, long_ago))
    yield replace(some(), second=np.full(count, 100 * 366 * SECONDS_PER_DAY))
    early = some()
    yield replace(early, known=early.second - SECONDS_PER_DAY)
    yield replace(some(), amount=-np.round(random.uniform(1, 50, count), 2))
