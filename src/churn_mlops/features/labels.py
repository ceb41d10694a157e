"""Who is at risk at a snapshot, and what became of them: labels look at what happened, or became known, after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.contract import DAY_MICROSECONDS
from churn_mlops.features.cells import to_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import ChurnSettings
    from churn_mlops.features.cells import Cells


def find_at_risk(cells: Cells, snapshot: date, churn: ChurnSettings, cancellations: ir.Table | None) -> ir.Table:
    """Find the customers at risk: active in the last `active_days`, as was known before the snapshot, and not gone.

    A customer who cancelled, and was known to have, is at risk again after an event of a later time.

    Returns:
        A table of one column, customer.
    """
    known = cells.before(snapshot)
    is_recent = known.interval >= cells.interval_from(to_day(snapshot) - churn.active_days)
    recent = known.filter(is_recent & _shows_activity(known, cells, churn))
    active = recent.group_by("customer").agg(last=recent["last"].max())
    if cancellations is None:
        return active.select("customer")
    begin = to_day(snapshot) * DAY_MICROSECONDS
    gone = cancellations.filter((cancellations["at"] < begin) & (cancellations.known < begin))
    gone = gone.group_by(gone_customer=gone.customer).agg(cancelled=gone["at"].max())
    joined = active.left_join(gone, active.customer == gone.gone_customer)
    return joined.filter(joined.cancelled.isnull() | (joined["last"] > joined.cancelled)).select("customer")


def label_churn(
    at_risk: ir.Table, cells: Cells, snapshot: date, churn: ChurnSettings, cancellations: ir.Table | None, log_ends: int
) -> ir.Table:
    """Label the customers at risk, for every horizon.

    Args:
        at_risk: column customer.
        cells: the log, added up.
        snapshot: the outcome is what happens from `lead_days` after it on.
        churn: what leaving means.
        cancellations: customer, at and known (microseconds); needed where the definition is cancellation.
        log_ends: time of the last event, microseconds: a horizon that ends later is unlabelled.

    Returns:
        customer and churned_30d (bool) and so on for each horizon; missing where the outcome is not known yet, where
        the customer cancelled in the lead days, when it is too late to act and not yet time to count, or had cancelled
        before the snapshot, which nobody knew by then.
    """
    labels = at_risk
    for days in churn.horizon_days:
        begin = to_day(snapshot) + churn.lead_days
        if (begin + days) * DAY_MICROSECONDS > log_ends:
            labels = labels.mutate(**{label_name(days): ibis.null(dt.boolean)})
        elif churn.definition == "inactivity":
            labels = _label_inactivity(labels, cells, begin, days, churn)
        else:
            assert cancellations is not None  # noqa: S101 - else no valid settings
            labels = _label_cancellation(labels, cancellations, snapshot, begin, days)
    return labels


def label_name(horizon_days: int) -> str:
    """Name the column of a horizon's outcome."""
    return f"churned_{horizon_days}d"


def _label_inactivity(labels: ir.Table, cells: Cells, begin: int, days: int, churn: ChurnSettings) -> ir.Table:
    after = cells.between(begin, begin + days)
    after = after.filter(_shows_activity(after, cells, churn))
    seen = after.group_by(seen_customer=after.customer).agg(seen_events=after.events.sum())
    joined = labels.left_join(seen, labels.customer == seen.seen_customer)
    return joined.mutate(**{label_name(days): joined.seen_events.isnull()}).drop("seen_customer", "seen_events")


def _label_cancellation(labels: ir.Table, cancellations: ir.Table, snapshot: date, begin: int, days: int) -> ir.Table:
    at = cancellations["at"]
    begins = to_day(snapshot) * DAY_MICROSECONDS
    first, last = begin * DAY_MICROSECONDS, (begin + days) * DAY_MICROSECONDS
    after = cancellations.filter(((at >= begins) | (cancellations.known >= begins)) & (at < last))
    left = after.group_by(left_customer=after.customer).agg(left_at=after["at"].min())
    joined = labels.left_join(left, labels.customer == left.left_customer)
    too_early = (joined.left_at < first).fill_null(False)
    churned = ibis.ifelse(too_early, ibis.null(dt.boolean), joined.left_at.notnull())
    return joined.mutate(**{label_name(days): churned}).drop("left_customer", "left_at")


def _shows_activity(cells_table: ir.Table, cells: Cells, churn: ChurnSettings) -> ir.BooleanValue:
    slots: Sequence[int] = [cells.types.index(kind) for kind in churn.event_types]
    return cells_table.slot.isin(slots) if slots else ibis.literal(True)
