"""The manifest: written, read again the same, and named by its content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from version_drafts import make_draft

from churn_mlops.registry.manifest import MANIFEST, Decision, Manifest, ProfitParameters, name_version, seal
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.training.job import TrainedVersion


def test_a_manifest_survives_json() -> None:
    """Written and read again, it is the same, umlauts and times included."""
    manifest = seal(make_draft(3))
    assert Manifest.model_validate_json(manifest.model_dump_json(indent=2)) == manifest


def test_what_training_wrote_is_what_is_read(sample_version: TrainedVersion, sample_registry: Registry) -> None:
    """A real manifest comes back from disk as it was returned."""
    assert sample_registry.read(sample_version.manifest.version) == sample_version.manifest


def test_a_version_from_before_event_features_were_kept_is_read(tmp_path: Path) -> None:
    """Its manifest has neither them nor horizons nor wordings, and the content that its name stands for."""
    content = make_draft().model_dump(mode="json", exclude={"version", "event_features", "horizons"})
    for feature in content["signature"]["features"]:
        del feature["wording"]
    version = name_version(make_draft().created_at, content)
    folder = tmp_path / "models" / version
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(json.dumps({"version": version, **content}), encoding="utf-8")
    read = Registry(tmp_path).read(version)
    assert (read.event_features, read.horizons, read.signature.features[0].wording) == (None, (), None)


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


def by_profit(correction: float = 1.0) -> Decision:
    """Decide by the profit of an offer of 10 that saves half of them, at a mean value of 100."""
    parameters = ProfitParameters(
        customer_value=100, value_column=None, offer_cost=10, save_rate=0.5, correction=correction
    )
    return Decision(mode="profit", threshold=0.2 * correction, medium_risk=0.3, high_risk=0.6, parameters=parameters)


@pytest.mark.parametrize(
    ("probability", "value", "predicted"),
    [(0.2, None, True), (0.19, None, False), (0.19, 200, True), (0.1, 200, True), (0.39, 50, False), (1.0, 0, False)],
)
def test_by_profit_the_value_moves_the_threshold(probability: float, value: float | None, predicted: bool) -> None:
    """Twice the value halves the probability from which an offer pays; for nothing it never does."""
    assert by_profit().predicts_churn(probability, value) is predicted


def test_a_correction_moves_every_threshold() -> None:
    """What out-of-fold profit taught holds for all values alike."""
    assert by_profit(1.5).thresholds([50, 100, 200]).tolist() == pytest.approx([0.6, 0.3, 0.15])
    assert by_profit(1.5).threshold_for() == by_profit(1.5).threshold_for(100) == pytest.approx(0.3)


def test_expected_profit_is_what_is_saved_less_the_offer() -> None:
    """0.3 of 100, half of it saved, less 10."""
    assert by_profit().expected_profit(0.3) == pytest.approx(5)
    assert by_profit().expected_profit(0.3, 20) == pytest.approx(-7)


@pytest.mark.parametrize("value", [None, 1.0, 1e9])
def test_not_by_profit_the_value_is_nothing(value: float | None) -> None:
    """A threshold in the configuration counts for everybody, and says nothing of profit."""
    decision = Decision(threshold=0.5, medium_risk=0.3, high_risk=0.6)
    assert (decision.predicts_churn(0.5, value), decision.predicts_churn(0.49, value)) == (True, False)
    assert decision.expected_profit(0.9, value) is None


def test_a_manifest_without_a_mode_decides_by_its_threshold() -> None:
    """What was written before there were modes is read as it was meant."""
    assert Decision.model_validate({"threshold": 0.5, "medium_risk": 0.3, "high_risk": 0.6}).mode == "threshold"


def test_a_decision_by_profit_survives_json() -> None:
    """Written into a manifest and read again, it is the same and decides the same."""
    read = Decision.model_validate(json.loads(by_profit(1.1).model_dump_json()))
    assert read == by_profit(1.1)


@pytest.mark.parametrize("changes", [{"mode": "threshold"}, {"parameters": None}])
def test_profit_and_its_parameters_belong_together(changes: dict[str, object]) -> None:
    """A decision by profit without parameters, or parameters without it, is no decision."""
    with pytest.raises(ValidationError, match=r"decision\.parameters belong to the mode 'profit'"):
        Decision.model_validate(by_profit().model_dump() | changes)
