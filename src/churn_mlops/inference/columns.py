"""Many customers, column by column: what a batch is read into, whatever it was written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.inference.encoding import Value


@dataclass(frozen=True, slots=True)
class CustomerColumns:
    """Customers to score.

    Attributes:
        customer_ids: as the client sent them.
        customer_values: what the client says that each is worth; None where it does not.
        features: the customers' values of each feature, in the signature's order.
    """

    customer_ids: Sequence[str | int | None] = field(default_factory=list)
    customer_values: Sequence[float | None] = field(default_factory=list)
    features: Sequence[Sequence[Value]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.customer_ids)
