"""Turns rows of an event log into the events of each customer, as the service reads them from a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Hashable


def by_customer(log: pd.DataFrame) -> dict[Hashable, list[dict[str, Any]]]:
    """Give the events of each customer, times as datetimes; rows that no request can hold are left out."""
    events = log.copy()
    for name in {"time", "known_time"} & set(events.columns):
        events[name] = pd.to_datetime(events[name], utc=True, errors="coerce", format="ISO8601")
    usable = events[events["customer_id"].notna() & events["time"].notna() & events["type"].notna()]
    plain = usable.assign(
        **{
            name: pd.Series(usable[name].dt.to_pydatetime(), usable.index, dtype=object)
            for name in ("time", "known_time")
        },
        amount=usable["amount"].astype(object).where(usable["amount"].notna(), None),
    )
    return {
        customer: [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
        for customer, rows in plain.groupby("customer_id")
    }


def as_request(event: dict[str, Any]) -> dict[str, Any]:
    """Give an event as a request has it, in JSON."""
    times = {name: event[name].isoformat() for name in ("time", "known_time")}
    return {name: value for name, value in (event | times).items() if name != "customer_id" and value is not None}
