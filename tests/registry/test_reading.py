"""Reading the registry: nothing is believed that does not pass its check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from version_drafts import FILES, make_draft, register_some

from churn_mlops.errors import NoModel, RegistryError, VersionNotFound, VersionRefused
from churn_mlops.registry.manifest import ESTIMATOR, EVENT_PROGRAM, GRAPH, MANIFEST, name_version
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEVER = "20260101T000000Z-00000000"


def _bundle_sample(root: Path) -> str:
    """Leave a sample version as a fresh clone has it: with no aliases."""
    registry = Registry(root)
    version = register(registry, make_draft(sample=True), FILES).version
    registry.aliases_file.unlink()
    return version


def test_versions_are_listed_oldest_first(tmp_path: Path) -> None:
    """The names sort by time."""
    registry, versions = register_some(tmp_path, 3)
    assert registry.versions() == versions


@pytest.mark.parametrize("name", [".unfinished-abc", "latest", "20260301T120000Z-XYZ", f"{NEVER}.bak", ".DS_Store"])
def test_only_version_names_are_listed(name: str, tmp_path: Path) -> None:
    """What a killed job or a person left in models/ is no version."""
    registry, versions = register_some(tmp_path, 1)
    (registry.models / name).mkdir()
    assert registry.versions() == versions


def test_a_folder_that_is_not_there_has_no_versions(tmp_path: Path) -> None:
    """Before the first training there is nothing, and that is no error."""
    registry = Registry(tmp_path / "nowhere")
    assert (registry.versions(), registry.aliases()) == ([], None)


def test_files_are_read_whole(tmp_path: Path) -> None:
    """What was registered comes back byte for byte."""
    registry, (version,) = register_some(tmp_path, 1)
    manifest = registry.read(version)
    assert {name: registry.read_file(manifest, name) for name in FILES} == FILES


@pytest.mark.parametrize("name", [GRAPH, ESTIMATOR])
def test_any_changed_byte_of_a_file_is_refused(name: str, tmp_path: Path) -> None:
    """Every byte counts: the hash in the manifest is of the whole file, and the sentence names it."""
    registry, (version,) = register_some(tmp_path, 1)
    manifest, file = registry.read(version), registry.models / version / name
    for place in range(len(FILES[name])):
        file.write_bytes(_flip(FILES[name], place))
        with pytest.raises(VersionRefused, match=rf"Version {version} is refused: the sha256 of {name} is not"):
            registry.read_file(manifest, name)


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: content + b"\0", lambda content: b""])
def test_a_file_cut_short_or_longer_is_refused(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """A copy that broke off is not the version."""
    registry, (version,) = register_some(tmp_path, 1)
    (registry.models / version / GRAPH).write_bytes(spoil(FILES[GRAPH]))
    with pytest.raises(VersionRefused, match=r"sha256 of model\.onnx"):
        registry.read_file(registry.read(version))


def test_no_changed_byte_of_the_manifest_changes_what_is_read(tmp_path: Path) -> None:
    """Flip any byte: the manifest is refused by name, or (white space between its parts) reads the same."""
    registry, (version,) = register_some(tmp_path, 1)
    manifest, file = registry.read(version), registry.models / version / MANIFEST
    content = file.read_bytes()
    sentences = []
    for place in range(len(content)):
        file.write_bytes(_flip(content, place))
        try:
            assert registry.read(version) == manifest
        except VersionRefused as error:
            sentences.append(str(error))
    assert all(version in sentence and "\n" not in sentence for sentence in sentences)
    assert len(sentences) > len(content.replace(b" ", b"")) * 0.9


def _rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format_version": 1}, "its format_version is 1 and this program reads 2"),
        ({"format_version": None}, "its format_version is None and this program reads 2"),
        ({"decision": {"threshold": 0.1, "medium_risk": 0.3, "high_risk": 0.6}}, "does not hold the content"),
        ({"version": NEVER}, "does not hold the content"),
        ({"version": 7}, "cannot be read (version: "),
        ({"surprise": 1}, "cannot be read (surprise: "),
        ({"explanation": {"kind": "additive", "intercept": float("nan"), "method": ""}}, "cannot be read ("),
        ({"explanation": {"kind": "additive", "intercept": float("inf"), "method": ""}}, "cannot be read ("),
        ({"libraries": {"numpy": "\ud800"}}, "cannot be read ("),
        ({"files": {}}, "does not hold the content"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(changes: dict[str, object], problem: str, tmp_path: Path) -> None:
    """Every change is refused with a sentence that names the version and what is wrong with it."""
    registry, (version,) = register_some(tmp_path, 1)
    _rewrite(registry.models / version / MANIFEST, **changes)
    with pytest.raises(VersionRefused) as refusal:
        registry.read(version)
    assert str(refusal.value).startswith(f"Version {version} is refused: ")
    assert problem in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "7", "{}", '{"version": "x"}', "\x00", "[" * 100_000])
def test_what_is_no_manifest_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    """Whatever stands in manifest.json, the answer is a refusal and never another error."""
    registry, (version,) = register_some(tmp_path, 1)
    (registry.models / version / MANIFEST).write_text(text)
    with pytest.raises(VersionRefused, match=f"Version {version} is refused"):
        registry.read(version)


def test_a_version_under_another_name_is_refused(tmp_path: Path) -> None:
    """A folder that was renamed or copied does not pass for another version, whatever its manifest says."""
    registry, (version,) = register_some(tmp_path, 1)
    folder = (registry.models / version).rename(registry.models / NEVER)
    _rewrite(folder / MANIFEST, version=NEVER)
    with pytest.raises(VersionRefused, match="does not hold the content that the version's name stands for"):
        registry.read(NEVER)


def test_whole_content_makes_the_name(tmp_path: Path) -> None:
    """The name on disk is the one that the manifest on disk has, computed from its JSON alone."""
    registry, (version,) = register_some(tmp_path, 1)
    content: dict[str, Any] = json.loads((registry.models / version / MANIFEST).read_text())
    del content["version"]
    assert name_version(registry.read(version).created_at, content) == version


@pytest.mark.parametrize("name", [MANIFEST, GRAPH])
def test_a_missing_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """The sentence says which file is not there."""
    registry, (version,) = register_some(tmp_path, 1)
    (registry.models / version / name).unlink()
    with pytest.raises(VersionRefused, match=rf"{version} is refused: {name} cannot be read"):
        registry.read_file(registry.read(version))


@pytest.mark.parametrize("name", [GRAPH, MANIFEST, EVENT_PROGRAM])
def test_any_served_file_that_changes_is_noticed(name: str, tmp_path: Path) -> None:
    """A service that refused a version looks again once one of its files is another."""
    registry, (version,) = register_some(tmp_path, 1, {**FILES, EVENT_PROGRAM: b"program"})
    before = registry.fingerprint(version)
    assert registry.fingerprint(version) == before
    with (registry.models / version / name).open("ab") as file:
        file.write(b" ")
    assert registry.fingerprint(version) != before


def test_a_file_without_a_hash_is_refused(tmp_path: Path) -> None:
    """A file that someone put into the folder is not the version's."""
    registry, (version,) = register_some(tmp_path, 1)
    (registry.models / version / "notes.txt").write_text("trust me")
    with pytest.raises(VersionRefused, match=r"has no hash of notes\.txt"):
        registry.read_file(registry.read(version), "notes.txt")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc", "/etc/passwd", f"../models/{NEVER}", f"{NEVER}/", f"{NEVER}\n", "champion"]
)
def test_what_is_no_version_name_never_becomes_a_path(name: str, tmp_path: Path) -> None:
    """Only a whole version name is looked up."""
    registry, _ = register_some(tmp_path, 1)
    with pytest.raises(VersionNotFound, match="There is no version"):
        registry.read(name)


def test_an_unknown_version_names_the_closest(tmp_path: Path) -> None:
    """A typing error is answered with the version that was meant."""
    registry, (version,) = register_some(tmp_path, 1)
    with pytest.raises(VersionNotFound, match=f"The closest is '{version}'"):
        registry.read(version[:-1] + "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"champion": "../../etc"}',
        f'{{"champion": "x{NEVER}"}}',
        f'{{"champion": "{NEVER}/.."}}',
        '{"winner": null}',
        "\x00",
    ],
)
def test_spoilt_aliases_are_an_error_and_never_the_sample(text: str, tmp_path: Path) -> None:
    """A file that cannot be read is not the same as no file: the bundled sample does not step in."""
    _bundle_sample(tmp_path)
    registry = Registry(tmp_path)
    registry.aliases_file.write_text(text)
    with pytest.raises(RegistryError, match=r"registry/aliases\.json cannot be used: .*\.$"):
        registry.champion()


def test_the_bundled_sample_is_served_while_nothing_was_registered(tmp_path: Path) -> None:
    """A fresh clone has a sample version and no aliases, and serves it."""
    version = _bundle_sample(tmp_path)
    assert Registry(tmp_path).champion() == version


def test_the_first_version_takes_the_place_of_the_bundled_sample(tmp_path: Path) -> None:
    """Once anything was registered the aliases alone decide."""
    _bundle_sample(tmp_path)
    registry, (version,) = register_some(tmp_path, 1)
    assert registry.champion() == version


def test_a_version_without_alias_that_is_no_sample_is_not_served(tmp_path: Path) -> None:
    """A version that someone copied in is served only after it was promoted."""
    registry, _ = register_some(tmp_path, 1)
    registry.aliases_file.unlink()
    with pytest.raises(NoModel, match="There is no model in models/ yet; train one"):
        registry.champion()


def test_aliases_without_a_champion_serve_nothing(tmp_path: Path) -> None:
    """The sentence says how to choose one."""
    _bundle_sample(tmp_path)
    registry = Registry(tmp_path)
    registry.aliases_file.write_text("{}")
    with pytest.raises(NoModel, match="churn-mlops models promote VERSION"):
        registry.champion()


def test_a_version_may_play_several_parts() -> None:
    """Its aliases are listed in a fixed order."""
    assert Aliases(champion=NEVER, previous=NEVER).parts_of(NEVER) == ["champion", "previous"]


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
