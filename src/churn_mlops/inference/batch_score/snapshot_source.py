"""Customers from a snapshot of an event log, as the engine hands them over: ordered by their ids."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Final

import ibis.expr.datatypes as dt
import numpy as np

from churn_mlops.errors import MissingColumn
from churn_mlops.features.building import CUSTOMER, SNAPSHOT
from churn_mlops.inference.batch_score.cutting import cut
from churn_mlops.inference.batch_score.source import CustomerBatch, Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import ibis.expr.types as ir

    from churn_mlops.data.events.engine import Engine
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
        content = hash_content(self._snapshot.engine, self._snapshot.rows.select(*self._columns))
        named = (self._snapshot.day, self._columns, content)
        return hashlib.sha256(repr(named).encode()).hexdigest()

    def batches(self, rows: int, after: Position | None) -> Iterator[CustomerBatch]:
        """Give the customers that follow a position, or all."""
        snapshot, skipped = self._snapshot, after[1] if after else 0
        ordered = snapshot.rows.select(*self._columns).order_by(CUSTOMER)
        for customers in cut(snapshot.engine.batches(ordered), rows, skipped):
            numbers = np.arange(skipped + 1, skipped + len(customers) + 1, dtype=np.int64)
            skipped += len(customers)
            yield CustomerBatch(customers, snapshot.name, numbers, (), (0, skipped), skipped / snapshot.customers)


def hash_content(engine: Engine, table: ir.Table) -> tuple[int, int, int]:
    """Hash all rows of a table, whatever their order: how many, a sum over their hashes, and the least of them."""
    hashed = table.select(hashed=engine.hash_rows([table[column] for column in table.columns]))
    parts = (hashed.hashed % _PRIME).cast(dt.int64)  # of which billions can be added up
    summed = hashed.aggregate(rows=hashed.count(), every=parts.sum(), least=hashed.hashed.min())
    (row,) = engine.batches(summed).read_all().to_pylist()
    return int(row["rows"]), int(row["every"] or 0), int(row["least"] or 0)


_PRIME: Final = 4_294_967_291
