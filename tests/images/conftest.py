"""The two images, built once from a copy of the checkout by the documented commands, on a real engine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from images_engine import API, BASE, Engine, copy_checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A Docker engine that answers and has the base image, or a skip that says what is missing."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs a Docker engine that answers to `docker info`")
    if subprocess.run(["docker", "image", "inspect", BASE], capture_output=True, check=False).returncode:
        pulled = subprocess.run(["docker", "pull", "-q", BASE], capture_output=True, check=False).returncode == 0
        if not pulled:
            pytest.skip(f"needs the base image {BASE}, which is neither here nor can be pulled")
    return Engine(copy_checkout(tmp_path_factory.mktemp("checkout")))


@pytest.fixture(scope="session")
def api_build(engine: Engine) -> None:
    """The API image, built by the documented command."""
    engine.run("docker build -f docker/Dockerfile.api -t techitfactory/churn-api:v1.0 .")


@pytest.fixture(scope="session")
def ml_build(engine: Engine) -> None:
    """The ML image, built by the documented command."""
    engine.run("docker build -f docker/Dockerfile.ml -t techitfactory/churn-ml:v1.0 .")


@pytest.fixture(scope="session")
def ml_spark_build(engine: Engine, ml_build: None) -> None:
    """The ML image with Spark and Java, which shares what it can with the one without."""
    engine.run("docker build -f docker/Dockerfile.ml -t techitfactory/churn-ml:v1.0-spark --build-arg SPARK=1 .")


@pytest.fixture
def port_8000() -> None:
    """The port that the documented commands publish, or a skip where something else listens there."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("needs port 8000, on which something listens already")


@pytest.fixture
def container(engine: Engine, api_build: None) -> Iterator[Callable[..., tuple[str, str]]]:
    """Start containers of the API image on a free port: `container(options)` gives its name and address."""
    started: list[str] = []

    def start(options: str = "", image: str = API, command: str = "") -> tuple[str, str]:
        name = f"churn-mlops-test-{os.getpid()}-{len(started)}"
        started.append(name)
        engine.run(f"docker run -d -p 127.0.0.1:0:8000 --name {name} {options} {image} {command}")
        address = engine.output(f"docker port {name} 8000/tcp").splitlines()[0]
        return name, f"http://{address}"

    yield start
    for name in started:
        engine.run(f"docker rm -f {name}", check=False)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
