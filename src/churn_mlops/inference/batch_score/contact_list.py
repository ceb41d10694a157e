"""The customers most worth contacting, best first, kept while all of them pass by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ContactList:
    """Keeps so many customers, those with the highest figures; equals in the order in which they come.

    It holds no more than the list and one batch: a batch is first cut down to those who can still be on it.

    Args:
        size: how many.
        by: the column with the figures.
        kept: what was kept of those who passed by before.
    """

    def __init__(self, size: int, by: str, kept: pa.Table | None = None) -> None:
        self._size, self._by = size, by
        self.kept = kept

    def add(self, table: pa.Table) -> None:
        """Look at some more customers."""
        if self.kept is not None and len(self.kept) >= self._size:
            lowest = self.kept[self._by][-1]
            table = table.filter(pc.greater(table[self._by], lowest))
        together = table if self.kept is None else pa.concat_tables([self.kept, table])
        self.kept = keep_best(together, self._size, self._by)


def keep_best(table: pa.Table, size: int, by: str) -> pa.Table:
    """Sort customers by a figure, highest first and equals in their order, and keep so many of them."""
    numbered = table.append_column("", pa.array(np.arange(len(table))))
    places = pc.select_k_unstable(numbered, min(size, len(table)), [(by, "descending"), ("", "ascending")])
    return table.take(places).unify_dictionaries().combine_chunks()
