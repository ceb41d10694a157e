"""What every test may use: real tables, a version trained once, and a clean environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.config.settings import (
    ArtifactsSettings,
    DataSettings,
    EngineSettings,
    Settings,
    SparkSettings,
    TrainingSettings,
)
from churn_mlops.registry.reading import Registry
from churn_mlops.training.job import TrainedVersion, train_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from churn_mlops.data.events.engine import Engine

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give tests that share something to one process, where there are several (`pytest -n`)."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it ships no types

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # see above
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: _group(item.nodeid) not in ("docker", "spark"))


def _group(nodeid: str) -> str:
    """Name what a test shares with others: the Docker engine, Spark's memory, or what is made once for a file."""
    file = Path(nodeid.partition("::")[0])
    if file.parent.name == "images":
        return "docker"
    return "spark" if file.name.startswith("test_spark") else str(file)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the configuration of the shell it was started from."""
    for variable in list(os.environ):
        if variable.upper().startswith("CHURN_MLOPS"):
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the path of a real table beside the checkout, or skip with a sentence that names it."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_file():
            pytest.skip(f"needs the real table {name} in shared/data beside the checkout")
        return path

    return find


@pytest.fixture(scope="session")
def duckdb_engine() -> Iterator[Engine]:
    """DuckDB in this process, opened once."""
    # Ibis takes a second to import, which most tests can do without
    from churn_mlops.data.events.engine import open_engine

    with open_engine(EngineSettings(threads=1), SparkSettings()) as engine:
        yield engine


@pytest.fixture(scope="session")
def sample_version(tmp_path_factory: pytest.TempPathFactory) -> TrainedVersion:
    """The baseline, trained once on the sample table into a registry of its own (see `sample_settings`)."""
    return train_baseline(_settings(tmp_path_factory.getbasetemp() / "sample-artifacts"))


@pytest.fixture
def sample_settings(sample_version: TrainedVersion, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of `sample_version`: its registry must not be changed."""
    return _settings(tmp_path_factory.getbasetemp() / "sample-artifacts")


@pytest.fixture
def sample_registry(sample_settings: Settings) -> Registry:
    """The registry of `sample_version`, to read only."""
    return Registry(sample_settings.artifacts.path)


def _settings(artifacts: Path) -> Settings:
    return Settings(
        data=DataSettings(source="sample"),
        training=TrainingSettings(bootstrap_resamples=100),
        artifacts=ArtifactsSettings(path=artifacts),
    )
