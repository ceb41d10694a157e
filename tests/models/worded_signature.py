"""A signature with features of an event log, one of each unit, that are put into words."""

from __future__ import annotations

from churn_mlops.features.wording import Trend, Wording
from churn_mlops.models.signature import Feature, Signature

WORDED = Signature(
    features=(
        *(
            Feature(name=name, kind="numeric", minimum=0, maximum=900, typical=typical, wording=wording)
            for name, typical, wording in (
                ("login_events_30d", 9.0, Wording(unit="events", words="login events in the last 30 days")),
                ("tenure_days", 412.04, Wording(unit="days", words="days since the first event")),
                ("share", 0.25, Wording(unit="share", words="share of payments that failed")),
                ("gap_ratio", 1.0, Wording(unit="ratio", words="ratio of this to that")),
                ("amount", 1234.567, Wording(unit="amount", words="sum of all amounts so far")),
                (
                    "login_trend_30d",
                    -1.0,
                    Wording(
                        unit="events",
                        words="login events in the last 30 days less those of the 30 days before",
                        trend=Trend(of="login_events_30d", subject="login events", days=30),
                    ),
                ),
            )
        ),
        Feature(name="plan", kind="categorical", categories=("basic", "plus"), typical="basic"),
    )
)
