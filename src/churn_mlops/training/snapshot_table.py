"""A customer table that was made of an event log: it knows how, and what became of its customers later on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from churn_mlops.data.table import CustomerTable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from churn_mlops.features.wording import Wording
    from churn_mlops.inference.events.program import EventProgram
    from churn_mlops.registry.manifest import EventFeatures


@dataclass(frozen=True, kw_only=True)
class SnapshotTable(CustomerTable):
    """Customers at risk at some snapshots.

    Attributes:
        event_features: what the features were made by.
        wordings: how features are put into words, by name.
        event_program: computes the features from one customer's events; None where SQLite cannot.
        further: bool [rows], the outcomes of the other horizons, by their days.
    """

    event_features: EventFeatures
    wordings: dict[str, Wording]
    event_program: EventProgram | None = None
    further: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def take(self, rows: npt.NDArray[np.intp]) -> SnapshotTable:
        """Give the table of some of its rows, int positions."""
        taken = super().take(rows)
        assert isinstance(taken, SnapshotTable)  # noqa: S101 - made of this one
        return replace(taken, further={days: outcome[rows] for days, outcome in self.further.items()})
