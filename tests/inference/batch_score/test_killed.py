"""SIGKILL while everyone is scored: the last output stays as it was, and the next run finishes with the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.kill_batch import OUTPUTS, Killing

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings

KILLS = 2


@pytest.mark.parametrize("options", OUTPUTS)
def test_a_run_that_is_killed_goes_on(tmp_path: Path, sample_settings: Settings, options: tuple[str, ...]) -> None:
    """Whatever is written; once after one kill, once after two."""
    artifacts = {"CHURN_MLOPS__ARTIFACTS__PATH": str(sample_settings.artifacts.path)}
    killing = Killing(tmp_path, rows=200_000, seed=3, options=options, environment=artifacts)
    assert [killing.kill_one(number) for number in range(KILLS)] == [""] * KILLS
