"""churn-mlops models sign and keygen, and what list and show say of signatures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from version_drafts import register_some

from churn_mlops.registry.manifest import MANIFEST, Manifest
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.signatures import TrustedKeys
from churn_mlops.registry.signing_keys import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    fingerprint,
    make_key_pair,
    read_private_key,
    read_public_key,
)
from churn_mlops.registry.writing import promote, sign

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_champion_is_signed_with_a_new_key(run: Run, tmp_path: Path) -> None:
    """From a new key to a version that is trusted by it; list and show say by which, or that it is not."""
    registry, (version, other) = register_some(tmp_path / "artifacts", 2)
    made = run("models", "keygen", "--out", "keys")
    key = fingerprint(read_public_key(tmp_path / "keys" / PUBLIC_KEY))
    assert made.stdout == f"keys/private.pem signs, keys/public.pem proves it; they are the key {key}.\n"
    done = run("models", "sign", "champion", "--key", f"keys/{PRIVATE_KEY}")
    assert (done.returncode, done.stdout) == (0, f"{version} is signed by the key {key}.\n")
    guarded = Registry(registry.root, TrustedKeys.read([tmp_path / "keys" / PUBLIC_KEY]))
    assert guarded.read(version).version == version
    assert run("models", "list").stdout.splitlines()[3:] == [f"{version} is signed by the key {key}."]
    shown = run("models", "show", version), run("models", "show", other)
    assert [each.stderr for each in shown] == [f"{version} is signed by the key {key}.\n", f"{other} is not signed.\n"]
    assert Manifest.model_validate(json.loads(shown[0].stdout)) == registry.read(version)


def test_a_spoilt_signature_is_listed_as_such(run: Run, tmp_path: Path) -> None:
    """The list goes on without it."""
    registry, (first, second) = register_some(tmp_path / "artifacts", 2)
    make_key_pair(tmp_path)
    for version in (first, second):
        sign(registry, version, read_private_key(tmp_path / PRIVATE_KEY))
    registry.signature_file(first).write_text("{")
    (registry.models / second / MANIFEST).write_bytes((registry.models / second / MANIFEST).read_bytes() + b" ")
    notes = run("models", "list").stdout.splitlines()[3:]
    assert notes[0].startswith(f"Version {second} is refused: its signature is not one of this manifest.json")
    assert notes[1] == f"Version {first} is refused: its signature cannot be read."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("no-such-version", "--key", "keys/private.pem"), "There is no version 'no-such-version'"),
        (("champion", "--key", "keys/public.pem"), "The key keys/public.pem holds no private key in PEM but a public"),
    ],
)
def test_what_cannot_be_signed_is_one_line(arguments: tuple[str, ...], problem: str, run: Run, tmp_path: Path) -> None:
    """And exit code 2."""
    registry, (version,) = register_some(tmp_path / "artifacts", 1)
    make_key_pair(tmp_path / "keys")
    done = run("models", "sign", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {problem}")
    assert registry.read_signature(version) is None


@pytest.mark.parametrize(
    "arguments",
    [("promote", "challenger", "--force", "--reason", "It is urgent."), ("rollback",)],
    ids=["promote", "rollback"],
)
def test_what_would_not_be_served_does_not_become_champion(
    arguments: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    """An unsigned version is refused by the command already, whatever the reason, and nothing changes."""
    registry, (first, second) = register_some(tmp_path / "artifacts", 2)
    if arguments == ("rollback",):
        promote(registry, second)
    make_key_pair(tmp_path)
    sign(registry, registry.champion(), read_private_key(tmp_path / PRIVATE_KEY))
    before = registry.aliases()
    done = run("models", *arguments, SERVING__REQUIRE_SIGNATURE=PUBLIC_KEY)
    refused = first if arguments == ("rollback",) else second
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(
        f"error: Version {refused} is refused: it is not signed, and serving.require_signature"
    )
    assert registry.aliases() == before


def test_serving_with_a_key_that_is_none_does_not_start(run: Run, tmp_path: Path) -> None:
    """One line, before anything is listened on."""
    (tmp_path / "broken.pem").write_text("no key")
    done = run("serve", SERVING__REQUIRE_SIGNATURE="broken.pem", SERVING__PORT="0")
    assert (done.returncode, done.stderr) == (2, "error: The key broken.pem holds no public key in PEM.\n")
