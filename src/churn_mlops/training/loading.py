"""Loads the customers that the configuration names, whether they stand in a table or are made from an event log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.data.table import load_customers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable


def load_table(settings: Settings, value_column: str | None = None, segments: Sequence[str] = ()) -> CustomerTable:
    """Load the customers to learn from.

    Args:
        settings: the configuration.
        value_column: the column that says what each customer is worth.
        segments: columns to evaluate by.

    Raises:
        DataError: the table or the log cannot be used; the sentence says what was expected.
    """
    if settings.data.source != "events":
        return load_customers(settings.data, value_column, segments)
    # imported here: a table should not wait the second that Ibis takes
    from churn_mlops.training.event_table import load_events

    return load_events(settings, value_column, segments)
