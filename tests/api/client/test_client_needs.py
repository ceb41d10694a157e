"""What the client needs: httpx and pydantic, and of this package nothing that needs more."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripted_server import FEATURES

import churn_mlops

if TYPE_CHECKING:
    from collections.abc import Callable

    StartService = Callable[..., tuple[Any, str, Path]]

SOURCE = Path(churn_mlops.__file__).parents[1]

SCRIPT = """
import asyncio, json, sys
from importlib.util import find_spec
from churn_mlops.client import AsyncChurnClient, ChurnClient

url, features = sys.argv[1], json.loads(sys.argv[2])

async def predict():
    async with AsyncChurnClient(url) as client:
        return (await client.predict(features)).churn_probability

with ChurnClient(url) as client:
    first = client.predict(features).churn_probability
there = [name for name in ("numpy", "onnxruntime", "fastapi", "yaml", "msgspec", "pandas") if find_spec(name)]
print(json.dumps({"same": first == asyncio.run(predict()), "probability": first, "there": there}))
"""


def requirements_of(*names: str) -> set[str]:
    """Name some packages and all that they need here."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        needed = (Requirement(text) for text in distribution(name).requires or ())
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """The Python of a virtual environment that holds this package, httpx, pydantic and what those two need."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    base = {"base": str(tmp_path / "bare"), "platbase": str(tmp_path / "bare")}
    packages = Path(sysconfig.get_path("purelib", "venv", base))
    for name in requirements_of("httpx", "pydantic"):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(installed.locate_file(top))))
    (packages / "churn_mlops").symlink_to(SOURCE / "churn_mlops")
    return Path(sysconfig.get_path("scripts", "venv", base)) / "python"


def test_httpx_and_pydantic_are_enough(bare_python: Path, start_service: StartService, sample_artifacts: Path) -> None:
    """Both clients ask the real service from an environment where nothing else is installed."""
    _, url, _ = start_service(sample_artifacts)
    command = [str(bare_python), "-I", "-c", SCRIPT, url, json.dumps(FEATURES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["same"], answer["there"]) == (True, [])
    assert 0 < answer["probability"] < 1


def test_the_environment_is_as_bare_as_it_says(bare_python: Path) -> None:
    """The proof above can fail: what serves does not even import there."""
    command = [str(bare_python), "-I", "-c", "import churn_mlops.inference.scorer"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "No module named 'numpy'" in done.stderr


def test_the_extra_asks_for_no_more(request: pytest.FixtureRequest) -> None:
    """What is declared for the client is httpx; pydantic is declared for the service."""
    text = (request.config.rootpath / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert [Requirement(each).name for each in extras["client"]] == ["httpx"]
