"""A configuration that scores a log by a version: it follows the version, or is refused by the key that contradicts."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from version_drafts import make_draft

from churn_mlops.config.settings import Settings
from churn_mlops.errors import NoEventFeatures, SettingsError
from churn_mlops.inference.event_settings import follow_version
from churn_mlops.registry.manifest import ChurnDefinition, EventFeatures

if TYPE_CHECKING:
    from churn_mlops.registry.manifest import Manifest

KEPT = EventFeatures(
    types=("purchase", "login", "other"),
    windows_days=(14, 60),
    has_amount=True,
    attributes=("device",),
    customer_attributes=("plan",),
    expressions={"half": "events / 2"},
    churn=ChurnDefinition(
        definition="inactivity", event_types=("purchase",), active_days=120, lead_days=3, horizon_days=(45, 90)
    ),
    earliest=date(2000, 1, 1),
    nonnegative=("purchase",),
)


def version(**changes: Any) -> Manifest:
    """Make the manifest of a version that was trained on a log."""
    return make_draft().model_copy(update={"event_features": KEPT.model_copy(update=changes)})


def settings(**sections: Any) -> Settings:
    """Make settings of a log, with all that they cannot do without."""
    events = {"path": "log.parquet", "amount": "money"} | sections.pop("events", {})
    data = {"source": "events", "events": events, "customers": {"path": "customers.csv"}} | sections.pop("data", {})
    return Settings.model_validate({"data": data, **sections})


def test_what_is_not_said_is_the_versions() -> None:
    """Windows, types, expressions, attributes and what leaving means; where the log is stays as it was said."""
    followed = follow_version(settings(), version())
    assert followed.features.windows_days == (14, 60)
    assert followed.features.expressions == {"half": "events / 2"}
    assert followed.churn.model_dump(include=set(ChurnDefinition.model_fields)) == KEPT.churn.model_dump()
    assert followed.data.events.attributes == ("device",)
    assert followed.data.events.earliest == date(2000, 1, 1)
    assert followed.data.events.nonnegative == ("purchase",)
    assert followed.data.customers is not None
    assert followed.data.customers.attributes == ("plan",)
    assert (followed.data.events.path, followed.data.events.amount) == ("log.parquet", "money")


def test_what_is_said_alike_is_no_contradiction() -> None:
    """As in the configuration that it was trained with."""
    said = settings(
        features={"windows_days": [60, 14], "event_types": ["login"], "expressions": {"half": "events / 2"}},
        churn=KEPT.churn.model_dump(),
    )
    assert follow_version(said, version()).features.windows_days == (14, 60)


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"churn": {"active_days": 90}}, "churn.active_days is 90, and was 120 in training"),
        ({"churn": {"horizon_days": [30]}}, r"churn.horizon_days is \[30\], and was \[45, 90\]"),
        ({"churn": {"lead_days": 0}}, "churn.lead_days is 0"),
        ({"churn": {"event_types": []}}, r"churn.event_types is \[\], and was \[purchase\]"),
        ({"features": {"windows_days": [7]}}, r"features.windows_days is \[7\]"),
        ({"features": {"expressions": {"half": "events / 3"}}}, "features.expressions is"),
        ({"features": {"event_types": ["login", "ticket"]}}, "features.event_types is"),
        ({"events": {"attributes": ["browser"]}}, r"data.events.attributes is \[browser\]"),
        ({"events": {"earliest": date(1999, 1, 1)}}, "data.events.earliest is 1999-01-01"),
        ({"events": {"nonnegative": ["*"]}}, "data.events.nonnegative is"),
        ({"events": {"amount": None}}, "data.events.amount names no column"),
        ({"data": {"customers": None}}, "data.customers is missing"),
        ({"data": {"customers": {"path": "c.csv", "attributes": ["age"]}}}, "data.customers.attributes is"),
    ],
)
def test_a_contradiction_is_refused_by_its_key(sections: dict[str, Any], named: str) -> None:
    """Its features would not be those that the version learnt."""
    with pytest.raises(SettingsError, match=named):
        follow_version(settings(**sections), version())


def test_cancellations_are_needed_where_leaving_was_cancelling() -> None:
    """They say who has left already."""
    churn = KEPT.churn.model_copy(update={"definition": "cancellation"})
    with pytest.raises(SettingsError, match=r"data\.cancellations is missing"):
        follow_version(settings(), version(churn=churn))


def test_a_version_of_a_table_computes_nothing_of_a_log() -> None:
    """Nor does one from before versions kept what they compute."""
    with pytest.raises(NoEventFeatures, match="was not trained on an event log"):
        follow_version(settings(), make_draft())
