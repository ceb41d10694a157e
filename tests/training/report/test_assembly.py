"""The report that a training job writes: of that version, beside the champion that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from learnable_tables import draw_customers, write_settings
from version_drafts import register_some

from churn_mlops.registry.manifest import MANIFEST, REPORT
from churn_mlops.registry.reading import Registry
from churn_mlops.training.job import train_baseline
from churn_mlops.training.report.assembly import find_champion

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.training.job import TrainedVersion


def test_every_version_has_its_report(sample_version: TrainedVersion, sample_registry: Registry) -> None:
    """The report is a file of the version, hashed, and holds the figures of its manifest."""
    page = sample_registry.read_file(sample_version.manifest, REPORT).decode()
    assert f"{sample_version.manifest.evaluation.metrics['roc_auc'].value:.3f}" in page
    assert all(name in page for name in sample_version.manifest.signature.names)


def test_the_second_version_is_compared_with_the_champion(tmp_path: Path) -> None:
    """Rejected rows are listed by reason, and the champion by name."""
    customers = draw_customers()
    outcome = customers["churned"].astype(object)
    outcome[:5] = "perhaps"
    settings = write_settings(tmp_path, customers.assign(churned=outcome), positive_label=True, negative_label=False)
    first, second = (train_baseline(settings).manifest for _ in range(2))
    page = Registry(settings.artifacts.path).read_file(second, REPORT).decode()
    assert first.version in page
    assert "&#39;perhaps&#39;; &#39;true&#39; or &#39;false&#39; was expected" in page


def test_the_first_version_has_no_champion(tmp_path: Path) -> None:
    """An empty registry has nothing to compare with."""
    assert find_champion(Registry(tmp_path)) is None


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_spoilt_champion_is_no_champion(spoilt: bool, tmp_path: Path) -> None:
    """Training replaces a champion that cannot be read, so it must not fail for it."""
    registry, (version,) = register_some(tmp_path, 1)
    if spoilt:
        (registry.models / version / MANIFEST).write_text("{}")
    champion = find_champion(registry)
    assert (champion is None) == spoilt
    assert champion is None or champion.manifest.version == version
