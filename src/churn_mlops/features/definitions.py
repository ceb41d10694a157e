"""The features of an event log: each is one entry with its name, its unit, its words and its expression."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn_mlops.data.events.engine import divide
from churn_mlops.features.wording import Trend, Wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from churn_mlops.config.settings import FeaturesSettings
    from churn_mlops.features.history import History
    from churn_mlops.features.wording import Unit

PAYMENT, FAILED_PAYMENT, TICKET = "payment", "payment_failed", "ticket"


@dataclass(frozen=True)
class Feature:
    """One feature.

    Attributes:
        name: of its column.
        unit: events, days, share, ratio or amount; None of a column of the operator's own.
        words: what it is, in the plural where it is events or days: "login events in the last 30 days".
        build: gives the aggregate over a customer's events that it is.
        trend: of a change, what changed.
    """

    name: str
    unit: Unit | None
    words: str
    build: Callable[[History], Any]
    trend: Trend | None = None

    @property
    def wording(self) -> Wording | None:
        """How reasons write it; None where they name the column and its value."""
        return None if self.unit is None else Wording(unit=self.unit, words=self.words, trend=self.trend)


def define_features(settings: FeaturesSettings, types: Sequence[str], has_amount: bool) -> tuple[Feature, ...]:
    """Define the features of a log.

    Args:
        settings: whose windows there are.
        types: event types with features of their own.
        has_amount: whether events have amounts. Which types really do is not looked at: that may be known only later.
    """
    features = [*_of_all_events(settings, has_amount)]
    if len(types) > 1:  # the only type's features would be those of all events
        names = _name_types(types)
        for kind in types:
            features += _of_type(settings, kind, names[kind], has_amount)
    features += _of_payments(settings, types)
    features += _of_tickets(settings, types)
    return tuple(features)


def describe_own(name: str, words: str) -> Feature:
    """Describe a column of the operator's own, which is not built from events here."""

    def build(history: History) -> Any:
        raise NotImplementedError(name)

    return Feature(name, None, words, build)


def _of_all_events(settings: FeaturesSettings, has_amount: bool) -> Iterator[Feature]:
    yield Feature("days_since_last_event", "days", "days since the last event", lambda h: h.days_since_last())
    yield Feature("tenure_days", "days", "days since the first event", lambda h: h.days_since_first())
    yield Feature("events", "events", "events so far", lambda h: h.events())
    yield Feature("mean_gap_days", "days", "days between events on average", lambda h: h.mean_gap_days())
    yield Feature(
        "gap_ratio",
        "ratio",
        "ratio of the days since the last event to the mean days between events",
        lambda h: divide(h.days_since_last(), h.mean_gap_days()),
    )
    if has_amount:
        yield Feature("amount", "amount", "sum of all amounts so far", lambda h: h.amount())
        yield Feature("mean_amount", "amount", "mean amount so far", lambda h: h.mean_amount())
    for days in settings.windows_days:
        yield from _of_window(days, has_amount)


def _of_window(days: int, has_amount: bool) -> Iterator[Feature]:
    last = f"in the last {days} days"
    yield Feature(f"events_{days}d", "events", f"events {last}", lambda h: h.events(days))
    yield Feature(f"active_days_{days}d", "days", f"days with an event {last}", lambda h: h.active_days(days))
    yield Feature(
        f"events_trend_{days}d",
        "events",
        f"events {last} less those of the {days} days before",
        lambda h: h.events(days) - h.events_before(days),
        Trend(of=f"events_{days}d", subject="events", days=days),
    )
    if has_amount:
        yield Feature(f"amount_{days}d", "amount", f"sum of amounts {last}", lambda h: h.amount(days))
        yield Feature(f"mean_amount_{days}d", "amount", f"mean amount {last}", lambda h: h.mean_amount(days))


def _of_type(settings: FeaturesSettings, kind: str, name: str, has_amount: bool) -> Iterator[Feature]:
    longest = max(settings.windows_days)
    yield Feature(f"{name}_days_since_last", "days", f"days since the last {kind}", lambda h: h.days_since_last(kind))
    for days in settings.windows_days:
        yield from _of_type_in_window(days, kind, name, has_amount)
    last = f"in the last {longest} days"
    yield Feature(
        f"{name}_share_{longest}d",
        "share",
        f"share of {kind} events among all {last}",
        lambda h: divide(h.events(longest, kind), h.events(longest)),
    )
    yield Feature(
        f"{name}_active_days_{longest}d",
        "days",
        f"days with a {kind} event {last}",
        lambda h: h.active_days(longest, kind),
    )
    if has_amount:
        yield Feature(
            f"{name}_mean_amount_{longest}d",
            "amount",
            f"mean {kind} amount {last}",
            lambda h: h.mean_amount(longest, kind),
        )


def _of_type_in_window(days: int, kind: str, name: str, has_amount: bool) -> Iterator[Feature]:
    last = f"in the last {days} days"
    yield Feature(f"{name}_events_{days}d", "events", f"{kind} events {last}", lambda h: h.events(days, kind))
    yield Feature(
        f"{name}_trend_{days}d",
        "events",
        f"{kind} events {last} less those of the {days} days before",
        lambda h: h.events(days, kind) - h.events_before(days, kind),
        Trend(of=f"{name}_events_{days}d", subject=f"{kind} events", days=days),
    )
    if has_amount:
        yield Feature(
            f"{name}_amount_{days}d", "amount", f"sum of {kind} amounts {last}", lambda h: h.amount(days, kind)
        )


def _of_payments(settings: FeaturesSettings, types: Sequence[str]) -> Iterator[Feature]:
    if PAYMENT not in types or FAILED_PAYMENT not in types:
        return
    for days in settings.windows_days:
        yield _failed_payment_rate(days)


def _failed_payment_rate(days: int) -> Feature:
    return Feature(
        f"failed_payment_rate_{days}d",
        "share",
        f"share of payments that failed in the last {days} days",
        lambda h: divide(h.events(days, FAILED_PAYMENT), h.events(days, FAILED_PAYMENT) + h.events(days, PAYMENT)),
    )


def _of_tickets(settings: FeaturesSettings, types: Sequence[str]) -> Iterator[Feature]:
    if TICKET not in types:
        return
    for days in settings.windows_days:
        yield _ticket_rate(days)


def _ticket_rate(days: int) -> Feature:
    return Feature(
        f"ticket_rate_{days}d",
        "ratio",
        f"number of tickets per day with an event in the last {days} days",
        lambda h: divide(h.events(days, TICKET), h.active_days(days)),
    )


def _name_types(types: Sequence[str]) -> dict[str, str]:
    """Make names of columns from event types; types whose features would be called as others are get a number."""
    names: dict[str, str] = {}
    taken = {"events", "mean"}  # events_trend_7d and mean_amount_7d are of all events
    for kind in types:
        plain = re.sub(r"\W+", "_", kind.strip().lower()).strip("_") or "type"
        numbered = (f"{plain}_{number}" for number in itertools.count(max(1, len(names))))
        name = names[kind] = next(name for name in itertools.chain([plain], numbered) if name not in taken)
        # the mean amount of one type is called like the amount of another
        taken |= {name, f"{name}_mean", name.removesuffix("_mean")}
    return names
