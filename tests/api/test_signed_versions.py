"""serving.require_signature in the running service."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

from churn_mlops.registry.reading import Registry
from churn_mlops.registry.signing_keys import PRIVATE_KEY, PUBLIC_KEY, make_key_pair, read_private_key
from churn_mlops.registry.writing import sign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    StartService = Callable[..., tuple[Any, str, Path]]


def test_a_version_is_served_once_a_trusted_key_signs_it(
    start_service: StartService, copied_artifacts: Path, tmp_path: Path
) -> None:
    """Until then /ready says which version is refused, and why; two keys are trusted, and the old one will do."""
    for folder in ("old", "new"):
        make_key_pair(tmp_path / folder)
    files = [str(tmp_path / folder / PUBLIC_KEY) for folder in ("old", "new")]
    _, url, _ = start_service(copied_artifacts, CHURN_MLOPS__SERVING__REQUIRE_SIGNATURE=f"[{', '.join(files)}]")
    registry = Registry(copied_artifacts)
    refused = httpx.get(f"{url}/ready")
    assert (refused.status_code, refused.json()["error"]) == (503, "VersionRefused")
    assert f"Version {registry.champion()} is refused: it is not signed" in refused.json()["detail"]
    sign(registry, registry.champion(), read_private_key(tmp_path / "old" / PRIVATE_KEY))
    give_up = time.monotonic() + 20
    while httpx.get(f"{url}/ready").status_code != 200:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_service_that_trusts_anyone_does_not_load_cryptography() -> None:
    """It is 12 MB of every worker."""
    script = "import sys, churn_mlops.api.app, churn_mlops.api.server; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
