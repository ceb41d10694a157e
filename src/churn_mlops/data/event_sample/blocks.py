"""Draws a block of customers with all that happens to them, and the rows of the log that tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.event_sample.activity import Events, draw_events
from churn_mlops.data.event_sample.arrivals import draw_arrivals
from churn_mlops.data.event_sample.customers import draw_customers
from churn_mlops.data.event_sample.lives import draw_lives

if TYPE_CHECKING:
    from churn_mlops.data.event_sample.calendar import Calendar
    from churn_mlops.data.event_sample.customers import Customers, Integers
    from churn_mlops.data.event_sample.lives import Lives

BLOCK_CUSTOMERS: Final = 1024
"""So many customers are drawn together, from a seed of their own. Another number would make other customers."""

BLOCK_BITS: Final = 26
"""Event ids within a block differ in so many bits, blocks in those above."""


@dataclass(frozen=True, slots=True)
class Rows(Events):
    """Rows of the log in the order in which they arrived: [rows].

    Attributes:
        event_id: int64, the same for rows that tell of the same event.
        known: second at which the row arrived, counted from the log's start, int64.
    """

    event_id: Integers
    known: Integers


@dataclass(frozen=True, slots=True)
class Block:
    """Some of a log's customers, and all of their rows.

    Attributes:
        number: of the block, from 0.
        customers: who they are.
        lives: how they fare.
        rows: what the log says of them.
    """

    number: int
    customers: Customers
    lives: Lives
    rows: Rows


def draw_block(number: int, calendar: Calendar) -> Block:
    """Draw `BLOCK_CUSTOMERS` customers and their rows; a block is the same whatever else is drawn."""
    random = np.random.default_rng((calendar.seed, number, calendar.days))
    customers = draw_customers(random, BLOCK_CUSTOMERS, calendar)
    lives = draw_lives(random, customers, calendar)
    events = draw_events(random, customers, lives, calendar)
    arrivals = draw_arrivals(random, events, calendar)
    told = events.take(arrivals.event)
    event_id = (number << BLOCK_BITS) + arrivals.event
    return Block(
        number,
        customers,
        lives,
        Rows(told.customer, told.second, told.type, told.amount, event_id, arrivals.known),
    )
