"""The service, in this process for tables of cases and in a process of its own for the real thing."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from churn_mlops.api.access_log import LOGGING
from churn_mlops.api.app import create_app
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.registry.manifest import Decision, ProfitParameters
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from event_versions import EventVersion
    from fastapi import FastAPI

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]
    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

REPOSITORY = Path(__file__).resolve().parents[2]
STARTED = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


class Challenged(NamedTuple):
    """A registry with two versions, to spoil."""

    registry: Registry
    champion: str
    challenger: str

    def graph_of(self, version: str) -> Path:
        """Where a version's graph is."""
        return self.registry.models / version / "model.onnx"


@contextmanager
def asking(app: FastAPI) -> Iterator[Ask]:
    """Start an application in this process; give what sends it a request, as `httpx.request` does."""
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://service")
        try:
            yield lambda method, path, **content: runner.run(client.request(method, path, **content))
        finally:
            runner.run(client.aclose())
            runner.run(lifespan.__aexit__(None, None, None))
            for name in LOGGING["loggers"]:
                logging.getLogger(name).handlers.clear()


@pytest.fixture
def serve_settings() -> Iterator[Callable[[Settings], Ask]]:
    """Start the service with given settings, until the test ends."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(asking(create_app(settings)))


@pytest.fixture(scope="session")
def sample_artifacts(sample_version: TrainedVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts folder of the sample version, to read only."""
    folder = tmp_path_factory.getbasetemp() / "sample-artifacts"
    assert (folder / "models" / sample_version.manifest.version).is_dir()
    return folder


@pytest.fixture(scope="session")
def event_version(tmp_path_factory: pytest.TempPathFactory) -> EventVersion:
    """A version that was trained on an event log, with the log; to read only."""
    from event_versions import train_version  # takes the engines and their libraries with it

    return train_version(tmp_path_factory.mktemp("event-version"))


@pytest.fixture
def copied_artifacts(sample_artifacts: Path, tmp_path: Path) -> Path:
    """A copy of the sample version's artifacts folder, to spoil."""
    return shutil.copytree(sample_artifacts, tmp_path / "artifacts")


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], float]:
    """Wait until something is so, and say how many seconds that took."""

    def wait(happens: Callable[[], object]) -> float:
        begin = time.monotonic()
        while not happens():
            assert time.monotonic() < begin + 30, "it does not happen"
            time.sleep(0.01)
        return time.monotonic() - begin

    return wait


@pytest.fixture
def challenged(copied_artifacts: Path) -> Challenged:
    """A copy of the sample version's artifacts folder, with a challenger that differs in its threshold."""
    registry = Registry(copied_artifacts)
    champion = registry.read(registry.champion())
    decision = champion.decision.model_copy(update={"threshold": 0.123})
    files = {name: registry.read_file(champion, name) for name in champion.files}
    challenger = register(registry, champion.model_copy(update={"decision": decision}), files)
    return Challenged(registry, champion.version, challenger.version)


@pytest.fixture
def sample_app(sample_artifacts: Path) -> FastAPI:
    """The service of the sample version, not started yet."""
    return create_app(Settings(artifacts=ArtifactsSettings(path=sample_artifacts)))


@pytest.fixture
def ask(sample_app: FastAPI) -> Iterator[Ask]:
    """Ask the service of the sample version, as `httpx.request` does."""
    with asking(sample_app) as answer:
        yield answer


@pytest.fixture
def ask_without_model(tmp_path: Path) -> Iterator[Ask]:
    """Ask a service that has no model."""
    with asking(create_app(Settings(artifacts=ArtifactsSettings(path=tmp_path)))) as answer:
        yield answer


@pytest.fixture
def ask_strict(sample_artifacts: Path) -> Iterator[Ask]:
    """Ask a service that takes no missing feature at all, and gives two reasons."""
    serving = ServingSettings(max_missing_share=0, reasons=2)
    with asking(create_app(Settings(artifacts=ArtifactsSettings(path=sample_artifacts), serving=serving))) as answer:
        yield answer


@pytest.fixture
def ask_by_profit(
    sample_version: TrainedVersion,
    sample_registry: Registry,
    serve_settings: Callable[[Settings], Ask],
    tmp_path: Path,
) -> Callable[..., Ask]:
    """Ask a service of the sample's model that decides by profit; the values may be in a column."""

    def start(value_column: str | None = None) -> Ask:
        parameters = ProfitParameters(
            customer_value=80.0, value_column=value_column, offer_cost=5.0, save_rate=0.25, correction=1.0
        )
        decision = Decision(mode="profit", threshold=0.25, medium_risk=0.3, high_risk=0.6, parameters=parameters)
        manifest = sample_version.manifest
        files = {name: sample_registry.read_file(manifest, name) for name in manifest.files}
        register(Registry(tmp_path), manifest.model_copy(update={"decision": decision}), files)
        return serve_settings(Settings(artifacts=ArtifactsSettings(path=tmp_path)))

    return start


@pytest.fixture
def example(ask: Ask, sample_app: FastAPI) -> dict[str, Any]:
    """The request that the documentation shows; `ask` has started the service that knows it."""
    return dict(sample_app.state.served.schema.example())


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start `python -m churn_mlops.api` on a port of the system's choice; give process, address and log file."""
    started: list[subprocess.Popen[bytes]] = []

    def start(artifacts: Path, **variables: str) -> tuple[subprocess.Popen[bytes], str, Path]:
        log = tmp_path / f"service-{len(started)}.log"
        environment = {**os.environ, "CHURN_MLOPS__ARTIFACTS__PATH": str(artifacts), "CHURN_MLOPS__SERVING__PORT": "0"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "churn_mlops.api"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | variables,
                cwd=REPOSITORY,
            )
        started.append(process)
        return process, _wait_for_address(process, log), log

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def read_log() -> Callable[[Path], list[dict[str, Any]]]:
    """Read a service's log: every line of it has to be JSON."""
    return lambda log: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if found := STARTED.search(log.read_text(encoding="utf-8")):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    pytest.fail(f"the service did not start:\n{log.read_text(encoding='utf-8')}")
