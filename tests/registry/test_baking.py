"""Baking: an image gets the champion, the alias that names it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from version_drafts import FILES, make_draft, register_some

from churn_mlops.errors import VersionRefused
from churn_mlops.inference.scorer import load_champion
from churn_mlops.registry.baking import copy_champion
from churn_mlops.registry.manifest import EVENT_PROGRAM, GRAPH, MANIFEST, OUT_OF_FOLD, REPORT
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.signatures import TrustedKeys
from churn_mlops.registry.signing_keys import PRIVATE_KEY, make_key_pair, read_private_key
from churn_mlops.registry.writing import register, sign

if TYPE_CHECKING:
    from pathlib import Path


def _list_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_only_what_serves_the_champion_is_copied(tmp_path: Path) -> None:
    """Neither estimator, report and predictions, nor the challenger, nor the rejects, nor the lock go into an image."""
    source = Registry(tmp_path / "from")
    files = {**FILES, REPORT: b"report", OUT_OF_FOLD: b"customer,probability"}
    champion, _ = (register(source, make_draft(number), files).version for number in range(2))
    (tmp_path / "from" / "rejects").mkdir()
    (tmp_path / "from" / "rejects" / "customers.csv").write_text("row,reason,text\n")
    assert copy_champion(source, Registry(tmp_path / "to")) == champion
    folder = f"models/{champion}"
    assert _list_files(tmp_path / "to") == {f"{folder}/{MANIFEST}", f"{folder}/{GRAPH}", "registry/aliases.json"}


def test_what_events_are_scored_by_is_copied_too(tmp_path: Path) -> None:
    """A version of an event log has its event program in the image, and is not baked in with another one."""
    source = Registry(tmp_path / "from")
    champion = register(source, make_draft(), {**FILES, EVENT_PROGRAM: b"program"}).version
    copy_champion(source, Registry(tmp_path / "to"))
    copied = tmp_path / "to" / "models" / champion
    assert {file.name for file in copied.iterdir()} == {MANIFEST, GRAPH, EVENT_PROGRAM}
    (source.models / champion / EVENT_PROGRAM).write_bytes(b"another")
    with pytest.raises(VersionRefused, match=f"the sha256 of {EVENT_PROGRAM}"):
        copy_champion(source, Registry(tmp_path / "again"))


def test_the_copy_names_the_champion_alone(tmp_path: Path) -> None:
    """No alias points at a version that was not copied."""
    source, (champion, _) = register_some(tmp_path / "from", 2)
    copy_champion(source, Registry(tmp_path / "to"))
    assert Registry(tmp_path / "to").aliases() == Aliases(champion=champion)


def test_the_bundled_sample_stays_a_bundled_sample(tmp_path: Path) -> None:
    """Where nothing was ever registered the copy has no aliases either, and serves the sample."""
    source = Registry(tmp_path / "from")
    version = register(source, make_draft(sample=True), FILES).version
    source.aliases_file.unlink()
    copy_champion(source, Registry(tmp_path / "to"))
    assert Registry(tmp_path / "to").aliases() is None
    assert Registry(tmp_path / "to").champion() == version


def test_a_signature_goes_with_its_version(tmp_path: Path) -> None:
    """An image serves a signed champion where only signed ones may be served."""
    source, (champion, _) = register_some(tmp_path / "from", 2)
    key = make_key_pair(tmp_path / "keys")
    for version in source.versions():
        sign(source, version, read_private_key(tmp_path / "keys" / PRIVATE_KEY))
    copy_champion(source, Registry(tmp_path / "to"))
    assert Registry(tmp_path / "to", TrustedKeys((key,))).read(champion).version == champion
    signatures = {name for name in _list_files(tmp_path / "to") if "signatures" in name}
    assert signatures == {f"registry/signatures/{champion}.json"}


def test_nothing_to_bake_leaves_an_empty_folder(tmp_path: Path) -> None:
    """An image without a model is built all the same, and its models/ is there to mount over."""
    target = Registry(tmp_path / "to")
    assert copy_champion(Registry(tmp_path / "from"), target) is None
    assert target.models.is_dir()


def test_a_champion_that_fails_its_check_is_not_baked_in(tmp_path: Path) -> None:
    """An image is not built around a graph that was tampered with."""
    source, (champion,) = register_some(tmp_path / "from", 1)
    (source.models / champion / GRAPH).write_bytes(b"other")
    with pytest.raises(VersionRefused, match="sha256"):
        copy_champion(source, Registry(tmp_path / "to"))
    assert _list_files(tmp_path / "to") == set()


def test_a_real_champion_serves_from_its_copy(sample_registry: Registry, tmp_path: Path) -> None:
    """What is left out is not needed for serving."""
    version = copy_champion(sample_registry, Registry(tmp_path))
    assert load_champion(Registry(tmp_path)).version == version
    assert {file.name for file in (tmp_path / "models" / str(version)).iterdir()} == {MANIFEST, GRAPH}


def _bake(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "churn_mlops.registry.baking", str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_it_baked_in(tmp_path: Path) -> None:
    """The build log names the version."""
    _, (champion,) = register_some(tmp_path / "from", 1)
    assert _bake(tmp_path / "from", tmp_path / "to").stdout == f"baked in: {champion}\n"


def test_the_command_fails_the_build_with_a_sentence(tmp_path: Path) -> None:
    """A champion that is refused ends with a sentence and an exit code that stops the build."""
    source, (champion,) = register_some(tmp_path / "from", 1)
    (source.models / champion / GRAPH).unlink()
    done = _bake(tmp_path / "from", tmp_path / "to")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Nothing was baked in: Version {champion} is refused")
