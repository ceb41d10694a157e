"""The manifest: written, read again the same, and named by its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from version_drafts import make_draft

from churn_mlops.registry.manifest import Decision, Manifest, seal

if TYPE_CHECKING:
    from churn_mlops.registry.reading import Registry
    from churn_mlops.training.job import TrainedVersion


def test_a_manifest_survives_json() -> None:
    """Written and read again, it is the same, umlauts and times included."""
    manifest = seal(make_draft(3))
    assert Manifest.model_validate_json(manifest.model_dump_json(indent=2)) == manifest


def test_what_training_wrote_is_what_is_read(sample_version: TrainedVersion, sample_registry: Registry) -> None:
    """A real manifest comes back from disk as it was returned."""
    assert sample_registry.read(sample_version.manifest.version) == sample_version.manifest


def test_a_version_is_named_by_its_second_and_its_content() -> None:
    """The name begins with the UTC second of its making, and equal contents have equal names."""
    assert seal(make_draft(3)).version.startswith("20260301T120003Z-")
    assert seal(make_draft(3)) == seal(make_draft(3))


@pytest.mark.parametrize(
    "changes",
    [
        {"sample": True},
        {"model": "boosting"},
        {"files": {"model.onnx": "1" * 64}},
        {"libraries": {"numpy": "2.4.1"}},
        {"decision": Decision(threshold=0.4, medium_risk=0.3, high_risk=0.6)},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_any_other_content_has_another_name(changes: dict[str, object]) -> None:
    """A change anywhere in the manifest changes the hash in the name, the second being equal."""
    before, after = seal(make_draft()), seal(make_draft().model_copy(update=changes))
    assert before.version[:16] == after.version[:16]
    assert before.version != after.version


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format_version", 3),
        ("version", "latest"),
        ("version", "20260301T120003Z-1a2b3c4d/.."),
        ("created_at", "2026-03-01T12:00:03"),
        ("surprise", 1),
        ("signature", {"features": []}),
    ],
)
def test_what_is_no_manifest_is_refused(field: str, value: object) -> None:
    """Unknown formats and fields, other names, times without a zone and empty signatures do not validate."""
    content = seal(make_draft()).model_dump(mode="json") | {field: value}
    with pytest.raises(ValidationError):
        Manifest.model_validate(content)


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.2999, "low"), (0.3, "medium"), (0.5999, "medium"), (0.6, "high"), (1.0, "high")],
)
def test_a_band_begins_at_its_limit(probability: float, band: str) -> None:
    """The limit itself belongs to the band above it."""
    assert Decision(threshold=0.5, medium_risk=0.3, high_risk=0.6).band(probability) == band
