"""SIGKILL during training: whatever the moment, what was registered before still serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kill_nine import Killing

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 4
"""One at each kind of moment."""
QUICK = {
    "CHURN_MLOPS__TRAINING__FOLDS": "2",
    "CHURN_MLOPS__TRAINING__BOOTSTRAP_RESAMPLES": "100",
    "CHURN_MLOPS__EVALUATION__LEAK_REPORT": "false",
    "CHURN_MLOPS__EVALUATION__LEARNING_CURVE": "false",
}


def test_kills_at_random_moments_leave_the_registry_valid(tmp_path: Path) -> None:
    """After each kill every listed version is whole, the champion loads and scores, and models list works."""
    killing = Killing(tmp_path, seed=2, settings=QUICK)
    problems = []
    for number in range(KILLS):
        moment = killing.kill_one(number)
        if problem := killing.check():
            problems.append(f"kill {number + 1} ({moment}): {problem}")
    assert problems == []
