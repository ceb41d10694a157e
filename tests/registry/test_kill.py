"""SIGKILL during training: whatever the moment, what was registered before still serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kill_nine import Killing

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 10
QUICK = {"CHURN_MLOPS__TRAINING__FOLDS": "2", "CHURN_MLOPS__TRAINING__BOOTSTRAP_RESAMPLES": "100"}


def test_kills_at_random_moments_leave_the_registry_valid(tmp_path: Path) -> None:
    """After each kill every listed version is whole, the champion loads and scores, and models list works."""
    killing = Killing(tmp_path, seed=2, settings=QUICK)
    problems = []
    for number in range(KILLS):
        moment = killing.kill_one(number)
        problems.append((moment, killing.check()))
    assert [problem for problem in problems if problem[1]] == []
    assert sum(moment != "after its end" for moment, _ in problems) >= KILLS / 2
