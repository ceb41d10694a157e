"""The three tables of a sample log, as Arrow: what their columns are called, and of what types they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from churn_mlops.data.event_sample.activity import TYPES
from churn_mlops.data.event_sample.blocks import BLOCK_CUSTOMERS
from churn_mlops.data.event_sample.calendar import to_seconds
from churn_mlops.data.event_sample.customers import CHANNELS, COUNTRIES, PLANS
from churn_mlops.data.event_sample.dirt import NO_TIME, NOTHING, UNKNOWN_CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from churn_mlops.data.event_sample.blocks import Block, Rows
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Integers

_TIME: Final = pa.timestamp("us", "UTC")
_NAME: Final = pa.dictionary(pa.int32(), pa.string())  # read back as plain text

EVENTS: Final = pa.schema(
    {
        "event_id": pa.int64(),
        "customer_id": _NAME,
        "time": _TIME,
        "type": _NAME,
        "amount": pa.float64(),
        "known_time": _TIME,
    }
)
CUSTOMERS: Final = pa.schema(
    {
        "customer_id": pa.string(),
        "known_time": _TIME,
        "joined": _TIME,
        "plan": _NAME,
        "billing": _NAME,
        "price": pa.float64(),
        "country": _NAME,
        "channel": _NAME,
    }
)
CANCELLATIONS: Final = pa.schema({"customer_id": pa.string(), "time": _TIME, "known_time": _TIME})

_BILLING: Final = ("monthly", "annual")


def make_events(block: Block, rows: Rows, calendar: Calendar) -> pa.Table:
    """Make the table of rows of a block: schema `EVENTS`."""
    names = _ids(block)
    if (rows.customer == UNKNOWN_CUSTOMER).any():
        names = [*names, f"unknown-{block.number}"]
    columns = [
        pa.array(rows.event_id),
        _texts(rows.customer, names),
        _times(rows.second, calendar),
        _texts(rows.type, TYPES),
        pa.array(rows.amount, mask=np.isnan(rows.amount)),
        _times(rows.known, calendar),
    ]
    return pa.Table.from_arrays(columns, schema=EVENTS)


def make_customers(block: Block, count: int, calendar: Calendar) -> pa.Table:
    """Make the table of a block's first customers: a row from joining on, and one from each change on.

    What becomes known only after the customer left, or the log ended, is not in it.
    """
    customers, prices, left = block.customers, block.lives.prices, block.lives.left
    days = np.stack([customers.joined, prices.changed, prices.risen], axis=1)[:count]
    shown = days < np.minimum(left, calendar.days)[:count, None]
    shown[:, 0] = True
    customer, which = np.nonzero(shown)
    day = days[customer, which]
    order = np.lexsort((day, customer))
    customer, day = customer[order], day[order]
    plan = np.where(day >= prices.changed[customer], prices.plan[customer], customers.plan[customer])
    columns = [
        pa.array(_ids(block)).take(pa.array(customer)),
        _times(to_seconds(day), calendar),
        _times(to_seconds(customers.joined[customer]), calendar),
        _texts(plan, PLANS),
        _texts(customers.annual[customer], _BILLING),
        pa.array(prices.at(customer, day)),
        _texts(customers.country[customer], COUNTRIES),
        _texts(customers.channel[customer], CHANNELS),
    ]
    return pa.Table.from_arrays(columns, schema=CUSTOMERS)


def make_cancellations(block: Block, count: int, calendar: Calendar) -> pa.Table:
    """Make the table of those of a block's first customers who left, as far as it was known when the log ended."""
    customer = np.flatnonzero(block.lives.left_known[:count] < calendar.days)
    times = (_times(to_seconds(days[customer]), calendar) for days in (block.lives.left, block.lives.left_known))
    return pa.Table.from_arrays([pa.array(_ids(block)).take(pa.array(customer)), *times], schema=CANCELLATIONS)


def _ids(block: Block) -> list[str]:
    first = block.number * BLOCK_CUSTOMERS
    return [f"C{first + place:08d}" for place in range(BLOCK_CUSTOMERS)]


def _texts(places: NDArray[np.integer] | NDArray[np.bool_], texts: Sequence[str]) -> pa.DictionaryArray:
    indices = pa.array(places.astype(np.int32), mask=places == NOTHING)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts))


def _times(seconds: Integers, calendar: Calendar) -> pa.Array:
    start = int(calendar.start.astype(np.int64))
    return pa.array((seconds + start) * 1_000_000, mask=seconds == NO_TIME).cast(_TIME)
