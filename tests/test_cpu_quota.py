"""Processors: what the scheduler gives, capped by the control group's quota."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from churn_mlops.cpu_quota import available_cpus, count_workers, cpus_per_worker
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler gives eight processors, whatever machine runs the tests."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("300000 50000\n", 6),
        ("", 8),
        ("none 100000\n", 8),
        ("100000\n", 8),
    ],
)
def test_the_quota_of_version_2_caps_the_processors(tmp_path: Path, cpu_max: str, expected: int) -> None:
    """A part of a processor counts as one; no limit, or nothing legible, leaves what the scheduler gives."""
    (tmp_path / "cpu.max").write_text(cpu_max)
    assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"), [("-1", "100000", 8), ("250000", "100000", 3), ("50000", "100000", 1), ("", "", 8)]
)
def test_the_quota_of_version_1_caps_the_processors(tmp_path: Path, quota: str, period: str, expected: int) -> None:
    """An older kernel's two files are read where the newer one is absent."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    assert available_cpus(tmp_path) == expected


def test_without_a_control_group_the_scheduler_decides(tmp_path: Path) -> None:
    """A machine without control groups uses what the process may run on."""
    assert available_cpus(tmp_path / "absent") == 8


def test_without_an_affinity_the_machine_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system knows no affinity, all processors count."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_cpus(tmp_path) == 5


@pytest.mark.parametrize(
    ("variable", "workers", "cpus"),
    [(None, 1, 8), ("", 1, 8), ("1", 1, 8), ("2", 2, 4), ("3", 3, 2), ("8", 8, 1), ("9", 9, 1), ("256", 256, 1)],
)
def test_workers_share_the_processors(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, workers: int, cpus: int
) -> None:
    """Each has an equal share, rounded down, and never less than one."""
    if variable is None:
        monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    else:
        monkeypatch.setenv("WEB_CONCURRENCY", variable)
    monkeypatch.setattr("churn_mlops.cpu_quota.available_cpus", lambda: 8)
    assert (count_workers(), cpus_per_worker()) == (workers, cpus)


@pytest.mark.parametrize("variable", ["0", "-1", "two", "1.5", "257", "99999999999999999999", "٣", " 2"])
def test_a_number_of_workers_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The sentence names the variable, what it is, and what it should be."""
    monkeypatch.setenv("WEB_CONCURRENCY", variable)
    with pytest.raises(SettingsError, match=r"WEB_CONCURRENCY is .* it should be the number of workers, 1 to 256"):
        count_workers()
