"""Signed versions: served on a trusted key's word only, for exactly what was signed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from version_drafts import FILES, make_draft, register_some

from churn_mlops.errors import VersionNotFound, VersionRefused
from churn_mlops.inference.scorer import load_champion, load_version
from churn_mlops.registry.manifest import ESTIMATOR, GRAPH, MANIFEST, name_version
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.signatures import TrustedKeys
from churn_mlops.registry.signing_keys import fingerprint
from churn_mlops.registry.writing import register, sign

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, NEXT_KEY, FOREIGN_KEY = (Ed25519PrivateKey.generate() for _ in range(3))


def trusting(registry: Registry, *keys: Ed25519PrivateKey) -> Registry:
    """Open a registry as a service does that trusts some keys."""
    return Registry(registry.root, TrustedKeys(tuple(key.public_key() for key in keys)))


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Registry, str]:
    """A version that is signed with `KEY`, in a registry where `KEY` is trusted."""
    registry, (version,) = register_some(tmp_path, 1)
    sign(registry, version, KEY)
    return trusting(registry, KEY), version


def test_a_signed_version_is_read(signed: tuple[Registry, str]) -> None:
    """Its manifest, and every file of it."""
    registry, version = signed
    assert {name: registry.read_file(registry.read(version), name) for name in FILES} == FILES


def test_an_unsigned_version_is_refused(tmp_path: Path) -> None:
    """The sentence says which, why, and what to do."""
    registry, (version,) = register_some(tmp_path, 1)
    assert registry.read(version).version == version
    with pytest.raises(VersionRefused, match=rf"^Version {version} is refused: it is not signed, .* models sign\.$"):
        trusting(registry, KEY).read(version)


def test_the_bundled_sample_is_refused_as_such(tmp_path: Path) -> None:
    """Whoever asks for signatures learns that the sample that came with the image has none."""
    registry = Registry(tmp_path)
    version = register(registry, make_draft(sample=True), FILES).version
    registry.aliases_file.unlink()
    with pytest.raises(
        VersionRefused, match=f"^Version {version} .* it is not signed .the bundled sample comes without"
    ):
        trusting(registry, KEY).champion()


def test_a_version_of_another_key_is_refused(signed: tuple[Registry, str]) -> None:
    """Both are named, by the fingerprints that models list and openssl show."""
    registry, version = signed
    sign(Registry(registry.root), version, FOREIGN_KEY)
    sentence = (
        f"Version {version} is refused: it is signed by the key {fingerprint(FOREIGN_KEY.public_key())}, and "
        f"serving.require_signature trusts {fingerprint(KEY.public_key())} only."
    )
    with pytest.raises(VersionRefused, match=f"^{re.escape(sentence)}$"):
        registry.read(version)


def test_one_key_takes_over_from_another(signed: tuple[Registry, str]) -> None:
    """While both are trusted, what the old one signed is served as well as what the new one signs."""
    registry, version = signed
    both = trusting(registry, NEXT_KEY, KEY)
    assert both.read(version).version == version
    sign(Registry(registry.root), version, NEXT_KEY)
    assert both.read(version).version == version
    assert trusting(registry, NEXT_KEY).read(version).version == version
    with pytest.raises(VersionRefused, match="signed by the key"):
        registry.read(version)


@pytest.mark.parametrize("name", [GRAPH, ESTIMATOR])
def test_a_file_that_was_changed_is_refused(name: str, signed: tuple[Registry, str]) -> None:
    """By its hash in the manifest, which the signature covers."""
    registry, version = signed
    (registry.models / version / name).write_bytes(b"other")
    with pytest.raises(VersionRefused, match=f"the sha256 of {name}"):
        registry.read_file(registry.read(version), name)


def _reindent(content: bytes) -> bytes:
    return json.dumps(json.loads(content)).encode()


def _rename(content: bytes) -> bytes:
    return content.replace(b'"model": "logistic"', b'"model": "boosted"')


@pytest.mark.parametrize("change", [_reindent, _rename, lambda content: content + b"\n", lambda content: content[:-20]])
def test_a_manifest_that_was_changed_is_refused(change: Callable[[bytes], bytes], signed: tuple[Registry, str]) -> None:
    """Byte for byte: even what means the same was not signed."""
    registry, version = signed
    file = registry.models / version / MANIFEST
    changed = change(file.read_bytes())
    assert changed != file.read_bytes()
    file.write_bytes(changed)
    with pytest.raises(VersionRefused):
        registry.read(version)


def test_a_forged_version_is_refused_by_its_signature_alone(signed: tuple[Registry, str]) -> None:
    """Hashes and name can be made to fit by anyone who may write to the folder; the signature cannot."""
    registry, version = signed
    folder = registry.models / version
    (folder / GRAPH).write_bytes(b"malicious")
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    del content["version"]
    content["files"][GRAPH] = hashlib.sha256(b"malicious").hexdigest()
    forged = name_version(registry.read(version).created_at, content)
    (folder / MANIFEST).write_text(json.dumps({"version": forged, **content}))
    folder.rename(registry.models / forged)
    registry.signature_file(version).rename(registry.signature_file(forged))
    unguarded = Registry(registry.root)
    assert unguarded.read_file(unguarded.read(forged)) == b"malicious"
    with pytest.raises(VersionRefused, match="its signature is not one of this manifest"):
        registry.read(forged)


def test_the_signature_of_another_version_is_refused(tmp_path: Path) -> None:
    """A signature cannot be lent."""
    registry, (first, second) = register_some(tmp_path, 2)
    sign(registry, first, KEY)
    registry.signature_file(first).rename(registry.signature_file(second))
    with pytest.raises(VersionRefused, match="its signature is not one of this manifest"):
        trusting(registry, KEY).read(second)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"public_key": "", "signature": ""}).encode(),
        json.dumps({"public_key": "###", "signature": "###"}).encode(),
        json.dumps({"public_key": urlsafe_b64encode(b"\xff" * 31).decode(), "signature": ""}).encode(),
        pytest.param(
            json.dumps({"public_key": urlsafe_b64encode(KEY.public_key().public_bytes_raw()).decode()}).encode(),
            id="no signature",
        ),
    ],
)
def test_a_signature_that_is_none_is_refused(content: bytes, signed: tuple[Registry, str]) -> None:
    """Whatever is in its file."""
    registry, version = signed
    registry.signature_file(version).write_bytes(content)
    with pytest.raises(VersionRefused, match="its signature cannot be read"):
        registry.read(version)


@pytest.mark.parametrize("bit", [0, 100, 511])
def test_a_signature_that_was_changed_is_refused(bit: int, signed: tuple[Registry, str]) -> None:
    """By a single bit."""
    registry, version = signed
    parts = json.loads(registry.signature_file(version).read_bytes())
    spoilt = bytearray(KEY.sign((registry.models / version / MANIFEST).read_bytes()))
    spoilt[bit // 8] ^= 1 << bit % 8
    parts["signature"] = urlsafe_b64encode(spoilt).decode()
    registry.signature_file(version).write_text(json.dumps(parts))
    with pytest.raises(VersionRefused, match="its signature is not one of this manifest"):
        registry.read(version)


def test_what_fails_its_checks_is_not_signed(tmp_path: Path) -> None:
    """A signature vouches for every file that is there, so each is looked at first."""
    registry, (version,) = register_some(tmp_path, 1)
    (registry.models / version / ESTIMATOR).write_bytes(b"other")
    with pytest.raises(VersionRefused, match=f"the sha256 of {ESTIMATOR}"):
        sign(registry, version, KEY)
    with pytest.raises(VersionNotFound):
        sign(registry, "../../etc", KEY)
    assert registry.read_signature(version) is None


def test_signing_leaves_the_version_as_it_is(tmp_path: Path) -> None:
    """The folder of a version never changes; a signature is kept beside the aliases."""
    registry, (version,) = register_some(tmp_path, 1)
    folder = registry.models / version
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    sign(registry, version, KEY)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in registry.signature_file(version).parent.iterdir()] == [f"{version}.json"]


def test_a_signature_is_noticed(tmp_path: Path) -> None:
    """A service that refused a version looks again once it is signed."""
    registry, (version,) = register_some(tmp_path, 1)
    before = registry.fingerprint(version)
    sign(registry, version, KEY)
    assert registry.fingerprint(version) != before


def test_a_real_version_is_scored_once_it_is_signed(copied_registry: Registry) -> None:
    """What the service does at a start or a change: load by name, or whatever is champion."""
    guarded = trusting(copied_registry, KEY)
    version = copied_registry.champion()
    with pytest.raises(VersionRefused, match="it is not signed"):
        load_version(guarded, version)
    sign(copied_registry, version, KEY)
    assert load_champion(guarded).version == version


@pytest.fixture
def copied_registry(sample_registry: Registry, tmp_path: Path) -> Registry:
    """A copy of the sample version's registry, to write to."""
    return Registry(Path(shutil.copytree(sample_registry.root, tmp_path / "artifacts")))
