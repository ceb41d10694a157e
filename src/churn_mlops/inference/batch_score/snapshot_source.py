"""Customers from a snapshot of an event log, as the engine hands them over: ordered by their ids."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.errors import MissingColumn
from churn_mlops.features.building import CUSTOMER, SNAPSHOT
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.source import CustomerBatch, Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from churn_mlops.features.log_snapshot import LogSnapshot


class SnapshotSource:
    """The customers at risk in an event log on a day.

    What a run had done before it was killed is left out when the snapshot was computed again: the same customers with
    the same features stand at the same places.

    Args:
        snapshot: as it was computed.
        features: the columns that there have to be.
        customer_value: the column that says what each customer is worth; None where none does.

    Raises:
        MissingColumn: a feature is not in the snapshot.
    """

    customer_id: Final = CUSTOMER
    snapshot_date: Final = SNAPSHOT

    def __init__(self, snapshot: LogSnapshot, features: Sequence[str], customer_value: str | None = None) -> None:
        self._snapshot = snapshot
        self.customer_value = customer_value
        self._columns = tuple(dict.fromkeys((CUSTOMER, SNAPSHOT, *features, *filter(None, (customer_value,)))))
        for column in self._columns:
            if column not in snapshot.rows.columns:
                raise MissingColumn("the model", column, list(snapshot.rows.columns))

    @cached_property
    def fingerprint(self) -> str:
        """Names the day, the columns and what is in them, wherever the log is kept."""
        named = (self._snapshot.day, self._columns, self._snapshot.customers, *self._hash_content())
        return hashlib.sha256(repr(named).encode()).hexdigest()

    def batches(self, rows: int, after: Position | None) -> Iterator[CustomerBatch]:
        """Give the customers that follow a position, or all."""
        snapshot, skipped = self._snapshot, after[1] if after else 0
        name = f"{snapshot.log.name} as of {snapshot.day}"
        ordered = snapshot.rows.select(*self._columns).order_by(CUSTOMER)
        for customers in cut(snapshot.engine.batches(ordered), rows, skipped):
            numbers = np.arange(skipped + 1, skipped + len(customers) + 1, dtype=np.int64)
            skipped += len(customers)
            yield CustomerBatch(customers, name, numbers, (), (0, skipped), skipped / snapshot.customers)

    def _hash_content(self) -> tuple[int, int]:
        """Hash all rows, whatever their order: the exclusive or and the least of their hashes."""
        rows, engine = self._snapshot.rows, self._snapshot.engine
        hashed = rows.select(hashed=engine.hash_rows([rows[column] for column in self._columns]))
        summed = hashed.aggregate(every=hashed.hashed.bit_xor(), least=hashed.hashed.min())
        (row,) = engine.batches(summed).read_all().to_pylist()
        return int(row["every"]), int(row["least"])
