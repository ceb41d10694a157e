"""The application can be imported anywhere, and looks at its surroundings only when it starts."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from churn_mlops.api.app import app, create_app
from churn_mlops.config.settings import ArtifactsSettings, Settings
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]

IMPORT_WITHOUT_ANYTHING = """
import sys

def refuse(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        raise RuntimeError(f"the import touched the network: {event} {arguments}")
    if event == "open" and str(arguments[0]).endswith((".yaml", ".onnx", "manifest.json", "aliases.json")):
        raise RuntimeError(f"the import read {arguments[0]}")

sys.addaudithook(refuse)
import churn_mlops.api.app
assert churn_mlops.api.app.app.state.served is None
print("imported")
"""


def test_importing_it_needs_no_configuration_model_or_network(tmp_path: Path) -> None:
    """In an empty folder, without an environment and with every socket refused, the module can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_ANYTHING],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_the_import_leaves_logging_as_it_was(tmp_path: Path) -> None:
    """Logging is configured when the service starts, not when something imports it."""
    code = "import logging, churn_mlops.api.app; print(logging.getLogger('churn_mlops').handlers)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_there_is_an_application_for_any_asgi_server() -> None:
    """`churn_mlops.api.app:app` is an application of its own, as create_app() makes them."""
    assert app is not create_app()
    assert {"/health", "/ready", "/model", "/predict"} <= set(app.openapi()["paths"])


def test_without_settings_they_are_read_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample_artifacts: Path, sample_version: TrainedVersion
) -> None:
    """The configuration file and the environment count as they are when the service starts."""
    application = create_app()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(f"artifacts:\n  path: {sample_artifacts}\n")

    async def served_version() -> str:
        async with application.router.lifespan_context(application):
            return str(application.state.served.version)

    assert asyncio.run(served_version()) == sample_version.manifest.version


def test_a_start_without_a_configuration_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service that finds no configuration does not start with defaults."""
    application = create_app()
    monkeypatch.chdir(tmp_path)

    async def start() -> None:
        async with application.router.lifespan_context(application):
            pass

    with pytest.raises(SettingsError, match="There is no configuration file"):
        asyncio.run(start())


def test_a_served_version_stays_when_its_files_go(
    serve_settings: Callable[[Settings], Ask], copied_artifacts: Path
) -> None:
    """What was checked and loaded is what is served: the files are read once."""
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=copied_artifacts)))
    shutil.rmtree(copied_artifacts)
    answer = ask("POST", "/predict", json={"features": {}})
    assert (ask("GET", "/ready").status_code, answer.status_code) == (200, 422)
