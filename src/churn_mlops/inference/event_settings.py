"""Makes a configuration follow a version that was trained on an event log, and refuses one that contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from churn_mlops.errors import NoEventFeatures, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.config import Settings
    from churn_mlops.registry.manifest import EventFeatures, Manifest

_OTHER: Final = "other"
"""What all types that are not named are called together (`features.cells`, which would bring the engine along)."""


def follow_version(settings: Settings, manifest: Manifest) -> Settings:
    """Give the configuration that computes a version's features.

    What the configuration does not say is taken from the version. What it says has to be the same: a key that says
    something else was perhaps meant, and the features would not be those that the version learnt.

    Args:
        settings: the configuration; where the log is and what its columns are called is taken from it.
        manifest: of the version.

    Raises:
        NoEventFeatures: the version was not trained on an event log.
        SettingsError: the configuration contradicts the version; the sentence names every such key.
    """
    kept = manifest.event_features
    if kept is None:
        raise NoEventFeatures(manifest.version)
    problems = [*_contradict(settings, kept), *_lack(settings, kept)]
    if problems:
        raise SettingsError(
            f"Version {manifest.version} computes other features than the configuration: {'; '.join(problems)}. Leave "
            f"the keys out to follow the version, or train anew."
        )
    data = settings.data
    events = data.events.model_copy(update=_part_of(kept, "data.events."))
    customers = data.customers and data.customers.model_copy(update={"attributes": kept.customer_attributes})
    return settings.model_copy(
        update={
            "data": data.model_copy(update={"events": events, "customers": customers}),
            "churn": settings.churn.model_copy(update=_part_of(kept, "churn.")),
            "features": settings.features.model_copy(update=_part_of(kept, "features.")),
        }
    )


def _remembered(kept: EventFeatures) -> dict[str, Any]:
    """Say what the keys of the configuration were in training."""
    return {
        "data.events.attributes": kept.attributes,
        "data.events.earliest": kept.earliest,
        "data.events.nonnegative": kept.nonnegative,
        "features.windows_days": kept.windows_days,
        "features.expressions": kept.expressions,
        **{f"churn.{name}": value for name, value in kept.churn},
    }


def _part_of(kept: EventFeatures, section: str) -> dict[str, Any]:
    found = _remembered(kept).items()
    return {key.removeprefix(section): value for key, value in found if key.startswith(section)}


def _contradict(settings: Settings, kept: EventFeatures) -> Iterator[str]:
    for key, expected in _remembered(kept).items():
        *sections, name = key.split(".")
        section: Any = settings
        for part in sections:
            section = getattr(section, part)
        said = getattr(section, name)
        if name in section.model_fields_set and said != expected:
            yield f"{key} is {_show(said)}, and was {_show(expected)} in training"
    wanted = settings.features.event_types
    named = tuple(kind for kind in kept.types if kind != _OTHER)
    if not isinstance(wanted, int) and tuple(dict.fromkeys((*kept.churn.event_types, *wanted))) != named:
        yield f"features.event_types is {_show(wanted)}, and the version has features of {_show(named)}"


def _lack(settings: Settings, kept: EventFeatures) -> Iterator[str]:
    events, customers = settings.data.events, settings.data.customers
    if kept.has_amount != (events.amount is not None):
        problem = "names no column, and events had amounts" if kept.has_amount else "names a column, and there was none"
        yield f"data.events.amount {problem} in training"
    attributes = kept.customer_attributes
    if customers is None and attributes:
        yield f"data.customers is missing, whose attributes {_show(attributes)} are features"
    if customers and customers.attributes != attributes and "attributes" in customers.model_fields_set:
        yield f"data.customers.attributes is {_show(customers.attributes)}, and was {_show(attributes)} in training"
    if kept.churn.definition == "cancellation" and settings.data.cancellations is None:
        yield "data.cancellations is missing, which says who has left already"


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value) if not isinstance(value, str) else repr(value)
