"""How many processors this process may really use: OpenMP, BLAS and ONNX Runtime do not look at the quota."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

from churn_mlops.errors import SettingsError

WORKERS_VARIABLE: Final = "WEB_CONCURRENCY"
_MOST_WORKERS: Final = 256


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Count usable processors: the scheduler's affinity, capped by the control group's CPU quota.

    Args:
        cgroup: where the process's control group is mounted (version 2: `cpu.max`, version 1: `cpu/cpu.cfs_*`).

    Returns:
        A whole number of processors, at least 1; a fractional quota is rounded up.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return max(1, min(affinity, math.ceil(quota))) if quota else affinity


def count_workers() -> int:
    """Read how many processes the service consists of, from the variable that Python's web servers share.

    Raises:
        SettingsError: it is no whole number from 1 to 256.
    """
    text = os.environ.get(WORKERS_VARIABLE) or "1"
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_WORKERS:
        raise SettingsError(
            f"The environment variable {WORKERS_VARIABLE} is {text!r}: it should be the number of workers, 1 to "
            f"{_MOST_WORKERS}."
        )
    return int(text)


def cpus_per_worker() -> int:
    """Give each worker its share of the usable processors, at least 1."""
    return max(1, available_cpus() // count_workers())


def _quota_v2(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(cgroup: Path) -> float | None:
    try:
        quota = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
