"""What customers to score come from: anything that gives them in the same record batches every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from churn_mlops.data.rejects import Reject

Position = tuple[int, int]
"""How far a source was read: as it likes to put it."""


@dataclass(frozen=True, slots=True)
class CustomerBatch:
    """Some customers to score.

    Attributes:
        customers: [rows], a column for each feature, the customer's id, and whatever else the source names.
        file: where they stand, for people.
        row_numbers: int64 [rows], the place of each in the file, the first after the header being 1.
        unreadable: rows in between that are none.
        end: where the next batch begins.
        done: share of the source that is read after it, 0 to 1.
    """

    customers: pa.RecordBatch
    file: str
    row_numbers: npt.NDArray[np.int64]
    unreadable: tuple[Reject, ...]
    end: Position
    done: float


class CustomerColumns(Protocol):
    """Says what the columns of customers mean, beside their features."""

    @property
    def customer_id(self) -> str:
        """The column that says who a customer is."""

    @property
    def customer_value(self) -> str | None:
        """The column that says what each customer is worth, where that is no feature."""

    @property
    def snapshot_date(self) -> str | None:
        """The column that says as of when a customer's features were true: dates or timestamps."""


@dataclass(frozen=True)
class NamedColumns:
    """The columns of customers, by name: see `CustomerColumns`."""

    customer_id: str
    customer_value: str | None = None
    snapshot_date: str | None = None


class CustomerSource(CustomerColumns, Protocol):
    """Gives customers, batch by batch.

    A table does, and so can snapshots of an event log: whatever has an id, the features and a snapshot date for each.
    """

    @property
    def fingerprint(self) -> str:
        """Names the content: another one, another fingerprint."""

    def batches(self, rows: int, after: Position | None) -> Iterator[CustomerBatch]:
        """Give the customers that follow a position, or all.

        What is in a batch depends on nothing but the content and `rows`: a run that is taken up again, at the end of
        any batch, sees the very batches that follow it.

        Args:
            rows: how many a batch has at most.
            after: the `end` of the last batch that is not wanted any more.

        Raises:
            DataError: the source cannot be read; the sentence says where and what was expected.
        """
