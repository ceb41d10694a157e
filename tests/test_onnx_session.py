"""ONNX Runtime is opened in one place, and never phones home."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.registry.reading import Registry

SCORE = """
import os, sys
from pathlib import Path
from churn_mlops.inference.scorer import load_champion
from churn_mlops.registry.reading import Registry
scorer = load_champion(Registry(Path(sys.argv[1])))
print(os.environ["ORT_DISABLE_TELEMETRY"], scorer.version)
"""


def test_scoring_leaves_no_device_id_and_keeps_telemetry_off(sample_registry: Registry, tmp_path: Path) -> None:
    """Even where the environment asks for telemetry, none is set up: its id file never appears in the home."""
    suppressing = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS")  # would switch it off by themselves
    environment = {name: value for name, value in os.environ.items() if name not in suppressing}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(sample_registry.root)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", sample_registry.champion()]
    assert [str(path) for path in tmp_path.rglob("*")] == []
