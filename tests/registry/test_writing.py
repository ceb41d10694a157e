"""Changing the registry: each change is whole or not at all, and the champion is always one that passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from version_drafts import FILES, make_draft, register_some

from churn_mlops.errors import NotWritable, RegistryError, VersionNotFound, VersionRefused
from churn_mlops.registry.manifest import EVENT_PROGRAM, GRAPH, MANIFEST
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import promote, register, require_writable, roll_back

if TYPE_CHECKING:
    from collections.abc import Iterator

WITH_EVENTS = {**FILES, EVENT_PROGRAM: b"program"}
STRANGER = 23456
"""A user that owns nothing."""


def _snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_first_version_becomes_champion(tmp_path: Path) -> None:
    """What was trained first is served without another step."""
    registry, (first,) = register_some(tmp_path, 1)
    assert registry.aliases() == Aliases(champion=first)


def test_later_versions_wait_as_challenger(tmp_path: Path) -> None:
    """The newest waits, and the champion stays until someone promotes."""
    registry, (first, _, third) = register_some(tmp_path, 3)
    assert registry.aliases() == Aliases(champion=first, challenger=third)


def test_a_folder_holds_its_files_and_nothing_else(tmp_path: Path) -> None:
    """The hashes name every file of the folder but the manifest."""
    registry, (version,) = register_some(tmp_path, 1)
    assert {file.name for file in (registry.models / version).iterdir()} == {MANIFEST, *FILES}
    assert set(registry.read(version).files) == set(FILES)


def test_what_was_registered_can_be_read_by_another_user(tmp_path: Path) -> None:
    """A service under another user reads what training wrote: folders are 755, files 644."""
    registry, (version,) = register_some(tmp_path, 1)
    folder = registry.models / version
    paths = [folder, *folder.iterdir(), registry.aliases_file]
    assert {oct(path.stat().st_mode & 0o755) for path in paths} == {"0o755", "0o644"}


def test_equal_content_of_one_second_is_one_version(tmp_path: Path) -> None:
    """Two equal runs that end in the same second make one version, and it plays one part."""
    registry, (first,) = register_some(tmp_path, 1)
    assert register(registry, make_draft(0), FILES).version == first
    assert registry.aliases() == Aliases(champion=first)


def test_what_a_killed_job_left_is_swept_away(tmp_path: Path) -> None:
    """The next registration removes half-written folders."""
    registry, _ = register_some(tmp_path, 1)
    (registry.models / ".unfinished-x").mkdir()
    (registry.models / ".unfinished-x" / GRAPH).write_bytes(b"half")
    register(registry, make_draft(1), FILES)
    assert list(registry.models.glob(".*")) == []


def test_promote_makes_the_challenger_champion(tmp_path: Path) -> None:
    """The champion before becomes previous, and nobody waits any more."""
    registry, (first, second) = register_some(tmp_path, 2)
    assert promote(registry, second) == registry.aliases() == Aliases(champion=second, previous=first)


def test_promote_of_an_older_version_lets_the_challenger_wait(tmp_path: Path) -> None:
    """Any version can be promoted, not only the challenger."""
    registry, (first, second, third) = register_some(tmp_path, 3)
    assert promote(registry, second) == Aliases(champion=second, challenger=third, previous=first)


def test_the_bundled_sample_can_be_promoted(tmp_path: Path) -> None:
    """Where nothing was ever registered there is no champion before, and that is no error."""
    registry, (version,) = register_some(tmp_path, 1)
    registry.aliases_file.unlink()
    assert promote(registry, version) == Aliases(champion=version)


def test_rollback_swaps_champion_and_previous(tmp_path: Path) -> None:
    """A rollback brings the champion before back, and another one undoes it."""
    registry, (first, second) = register_some(tmp_path, 2)
    promoted = promote(registry, second)
    assert roll_back(registry) == registry.aliases() == Aliases(champion=first, previous=second)
    assert roll_back(registry) == promoted


def test_promoting_the_champion_is_an_error(tmp_path: Path) -> None:
    """It would make the champion its own previous, and a rollback would do nothing."""
    registry, (first,) = register_some(tmp_path, 1)
    with pytest.raises(RegistryError, match=f"{first} is champion already"):
        promote(registry, first)


def test_promoting_an_unknown_version_changes_nothing(tmp_path: Path) -> None:
    """The sentence names what there is, and the champion stays."""
    registry, (first,) = register_some(tmp_path, 1)
    with pytest.raises(VersionNotFound, match="There is no version 'latest'"):
        promote(registry, "latest")
    assert registry.aliases() == Aliases(champion=first)


@pytest.mark.parametrize("name", [GRAPH, MANIFEST, EVENT_PROGRAM])
def test_promoting_a_spoilt_version_changes_nothing(name: str, tmp_path: Path) -> None:
    """A version that could not be loaded never becomes champion."""
    registry, (first, second) = register_some(tmp_path, 2, WITH_EVENTS)
    (registry.models / second / name).write_bytes(b"{}")
    with pytest.raises(VersionRefused):
        promote(registry, second)
    assert registry.aliases() == Aliases(champion=first, challenger=second)


def test_rollback_without_previous_is_an_error(tmp_path: Path) -> None:
    """There is nothing to go back to after the first version."""
    registry, _ = register_some(tmp_path, 1)
    with pytest.raises(RegistryError, match="no previous champion"):
        roll_back(registry)


@pytest.mark.parametrize("name", [GRAPH, MANIFEST, EVENT_PROGRAM])
def test_rollback_to_a_spoilt_version_changes_nothing(name: str, tmp_path: Path) -> None:
    """A previous champion that could not be loaded does not come back."""
    registry, (first, second) = register_some(tmp_path, 2, WITH_EVENTS)
    promoted = promote(registry, second)
    (registry.models / first / name).write_bytes(b"{}")
    with pytest.raises(VersionRefused):
        roll_back(registry)
    assert registry.aliases() == promoted


def test_spoilt_aliases_stop_a_registration_before_it_writes(tmp_path: Path) -> None:
    """Nobody guesses who was champion, and no version is left without an alias."""
    registry, _ = register_some(tmp_path, 1)
    registry.aliases_file.write_text("{")
    before = _snapshot(tmp_path)
    with pytest.raises(RegistryError, match="cannot be used"):
        register(registry, make_draft(1), FILES)
    assert _snapshot(tmp_path) == before


def test_being_writable_leaves_nothing_behind(tmp_path: Path) -> None:
    """The check before training makes the folders and no version."""
    registry = Registry(tmp_path / "artifacts")
    require_writable(registry)
    assert (registry.versions(), registry.aliases(), list(registry.models.iterdir())) == ([], None, [])


# A full disk, two ways: the process may write no file larger than a limit, and a file system of 64 kB.

_REGISTER_ONE = """
import resource, sys
from pathlib import Path
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from version_drafts import make_draft

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    register(Registry(Path(sys.argv[1])), make_draft(7), {"model.onnx": b"x" * 1000, "model.joblib": b"y" * 6000})
except OSError as error:
    sys.exit(f"refused: {error.strerror}")
"""


def _run_script(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("limit", [0, 10, 999, 1000, 2000, 5999], ids=lambda limit: f"{limit} bytes")
def test_a_disk_that_fills_up_leaves_the_registry_as_it_was(limit: int, tmp_path: Path) -> None:
    """Whichever file is the one that no longer fits, no version is added and the champion stays."""
    registry, (first,) = register_some(tmp_path, 1)
    before = _snapshot(tmp_path)
    done = _run_script(_REGISTER_ONE, tmp_path, limit)
    assert done.stderr == "refused: File too large\n"
    assert _snapshot(tmp_path) == before
    assert list(registry.models.iterdir()) == [registry.models / first]


@contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a file system of 64 kB")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_versions_on_a_full_disk_are_whole_or_not_there(tmp_path: Path) -> None:
    """On 64 kB, registering until nothing fits leaves only whole versions, and the champion serves on."""
    with _small_disk(tmp_path / "disk") as disk:
        registry, versions = register_some(disk, 1)
        with pytest.raises(OSError, match="No space left"):
            versions.extend(register(registry, make_draft(number), FILES).version for number in range(1, 20))
        assert registry.versions() == versions
        assert registry.aliases() == Aliases(champion=versions[0], challenger=versions[-1])
        assert all(registry.read_file(registry.read(version)) for version in versions)


@pytest.mark.parametrize("pages", range(5))
def test_a_version_whose_alias_does_not_fit_is_taken_back(pages: int, tmp_path: Path) -> None:
    """Whether the disk is full before, in or just after the folder, there is a version with its alias or neither."""
    with _small_disk(tmp_path / "disk") as disk:
        registry, (first,) = register_some(disk, 1)
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(b"x" * (free - pages * 4096))
        try:
            versions = [first, register(registry, make_draft(1), FILES).version]
        except OSError:
            versions = [first]
        aliases = registry.aliases()
        assert registry.versions() == versions
        assert aliases == Aliases(champion=first, challenger=versions[1] if len(versions) > 1 else None)
        assert not list(registry.models.glob(".*")) + list(registry.aliases_file.parent.glob(".aliases*"))


_REGISTER_MANY = """
import sys
from pathlib import Path
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from version_drafts import FILES, make_draft

print("ready", flush=True)
sys.stdin.read()
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 10):
    register(Registry(Path(sys.argv[1])), make_draft(number), FILES)
"""


def _start_registering(root: Path, first: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", _REGISTER_MANY, str(root), str(first)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def test_processes_that_register_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes with ten versions each: all are there and whole, one is champion, another the challenger."""
    with ExitStack() as running:
        started = [running.enter_context(_start_registering(tmp_path, first)) for first in range(0, 40, 10)]
        ready = [process.stdout.readline() for process in started if process.stdout]
        for pipe in [process.stdin for process in started if process.stdin]:
            pipe.close()  # all are ready: go
    registry = Registry(tmp_path)
    assert [process.returncode for process in started] == [0] * len(ready) == [0] * 4
    assert len([registry.read_file(registry.read(version)) for version in registry.versions()]) == 40
    aliases = json.loads(registry.aliases_file.read_text())
    assert {aliases["champion"], aliases["challenger"]} < set(registry.versions())
    assert aliases["champion"] != aliases["challenger"]
    assert aliases["previous"] is None


@contextmanager
def _as_stranger() -> Iterator[str]:
    """Act as a user that may write nowhere, and name it; someone who is not root acts as themselves."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        os.setegid(STRANGER)
        os.seteuid(STRANGER)
    try:
        yield f"{os.geteuid()}:{os.getegid()}"
    finally:
        os.seteuid(user)
        os.setegid(group)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into (pytest's own are private to their user)."""
    folder = Path(tempfile.mkdtemp(prefix="churn-mlops-test-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("closed", ["", "models", "registry"])
def test_a_folder_that_refuses_is_named_with_the_user_to_add(closed: str, open_folder: Path) -> None:
    """The sentence names the folder that refuses, its owner, who runs, and the option of docker run."""
    registry, _ = register_some(open_folder, 1)
    for folder in (open_folder, registry.models, registry.aliases_file.parent):
        folder.chmod(0o777)
    registry.aliases_file.with_name(".lock").chmod(0o666)
    refusing = open_folder / closed
    if not closed:
        for place in ("models", "registry"):
            shutil.rmtree(open_folder / place)
    refusing.chmod(0o555)
    owner = f"{refusing.stat().st_uid}:{refusing.stat().st_gid}"
    with _as_stranger() as runner, pytest.raises(NotWritable) as refusal:
        require_writable(registry)
    assert str(refusal.value) == (
        f"Cannot write to {refusing}: it belongs to {owner} and this process runs as {runner}. "
        f"In a container, add --user {owner} to docker run."
    )


def test_a_registration_that_is_refused_changes_nothing(open_folder: Path) -> None:
    """A folder that turns read-only between two registrations keeps what it has."""
    registry, _ = register_some(open_folder, 1)
    before = _snapshot(open_folder)
    registry.aliases_file.with_name(".lock").chmod(0o666)
    registry.models.chmod(0o555)
    with _as_stranger(), pytest.raises(NotWritable):
        register(registry, make_draft(1), FILES)
    assert _snapshot(open_folder) == before
