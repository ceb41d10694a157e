"""Makes small event programs by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

from churn_mlops.inference.events.program import CustomerColumn, EventContract, EventProgram, Step

SNAPSHOT = date(2100, 1, 1)
EVENTS = ("customer", "at", "known", "type", "amount")


def make_program(*steps: str, columns: tuple[str, ...] = ("found",), **contract: Any) -> EventProgram:
    """Make a program of queries, the last of which gives the columns; each before it gives one named `value`."""
    told: dict[str, Any] = {
        "has_type": True,
        "types": ("login", "payment"),
        "has_amount": True,
        "has_known_time": True,
        "attributes": (),
        "time_zone": "UTC",
        "earliest": date(2000, 1, 1),
        "nonnegative": (),
        "identifying": None,
        "missing_values": (),
        "active_types": (),
        "active_days": 30,
    } | contract
    *before, last = steps or ('SELECT COUNT(*) FROM "events"',)
    written = [Step(table=f"step_{place}", columns=("value",), sql=sql) for place, sql in enumerate(before)]
    attributes = tuple(f"attribute_{place}" for place in range(len(told["attributes"])))
    return EventProgram(
        snapshot=SNAPSHOT,
        contract=EventContract(**told),
        customer=(CustomerColumn(name="plan", kind="text"), CustomerColumn(name="seats", kind="integer")),
        has_cancellations=True,
        inputs={
            "events": EVENTS + attributes,
            "customers": ("customer", "known", "plan", "seats"),
            "cancellations": ("customer", "at", "known"),
        },
        steps=(*written, Step(table="last", columns=columns, sql=last)),
    )
