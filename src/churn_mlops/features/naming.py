"""Refuses names of the configuration's own columns that a snapshot's table has already; engines do not mind case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from churn_mlops.errors import DataError
from churn_mlops.features.labels import label_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from churn_mlops.config.settings import Settings
    from churn_mlops.features.definitions import Feature

CUSTOMER: Final = "customer_id"
SNAPSHOT: Final = "snapshot_date"
TARGET: Final = "churned"

JOINED: Final = ("customer", "known", "attributes_of", "labelled")
"""What tables are joined and chosen by on the way to a snapshot's rows."""


def check_names(settings: Settings, features: Sequence[Feature]) -> None:
    """Check the names of all columns that the configuration adds to the features.

    Raises:
        DataError: one is that of a feature, of what every row has, or of another one.
    """
    outcomes = (label_name(days) for days in settings.churn.horizon_days)
    taken = [CUSTOMER, SNAPSHOT, TARGET, *JOINED, *outcomes, *(feature.name for feature in features)]
    customers = settings.data.customers
    for key, names in {
        "data.events.attributes": settings.data.events.attributes,
        "data.customers.attributes": customers.attributes if customers else (),
        "features.expressions": settings.features.expressions,
    }.items():
        refuse_taken(key, names, taken)
        taken += names


def refuse_taken(key: str, names: Iterable[str], taken: Iterable[str]) -> None:
    """Refuse names that are taken, or occur twice.

    Raises:
        DataError: one is; the sentence names the key and the column.
    """
    folded = {name.casefold() for name in taken}
    for name in names:
        if name.casefold() in folded:
            raise DataError(f"{key} names {name!r}, and there is a column of that name already; give it another one.")
        folded.add(name.casefold())
