"""Key files: made for their owner alone, and refused in a sentence where they are no key to sign or to check with."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from churn_mlops.errors import KeyRefused
from churn_mlops.registry.signing_keys import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    fingerprint,
    make_key_pair,
    read_private_key,
    read_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_new_pair_belongs_together_and_to_its_owner(tmp_path: Path) -> None:
    """Nobody but the owner may read the private key, whatever the umask was."""
    before = os.umask(0)
    try:
        key = make_key_pair(tmp_path / "new" / "keys")
    finally:
        os.umask(before)
    folder = tmp_path / "new" / "keys"
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert modes == {PRIVATE_KEY: 0o600, PUBLIC_KEY: 0o644}
    assert read_private_key(folder / PRIVATE_KEY).public_key() == read_public_key(folder / PUBLIC_KEY) == key


@pytest.mark.parametrize("kept", [PRIVATE_KEY, PUBLIC_KEY])
def test_no_key_is_ever_replaced(kept: str, tmp_path: Path) -> None:
    """Not even half of a pair: what was signed with it could no longer be checked."""
    (tmp_path / kept).write_text("precious")
    with pytest.raises(KeyRefused, match=f"{kept} is there already"):
        make_key_pair(tmp_path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(kept, "precious")]


def test_a_fingerprint_can_be_had_without_us(tmp_path: Path) -> None:
    """OpenSSL gives the same, so that a key can be compared by whoever holds it."""
    key = make_key_pair(tmp_path)
    command = ["openssl", "pkey", "-pubin", "-in", str(tmp_path / PUBLIC_KEY), "-outform", "DER"]
    written = subprocess.run(command, capture_output=True, check=True).stdout
    assert fingerprint(key) == hashlib.sha256(written).hexdigest()[:16]


def _private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _public(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


GOOD = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("read", "content", "problem"),
    [
        (read_private_key, None, "cannot be read (No such file or directory)"),
        (read_private_key, b"", "holds no private key in PEM"),
        (read_private_key, b"\xff\x00", "holds no private key in PEM"),
        pytest.param(read_private_key, _private(GOOD)[:-40], "holds no private key in PEM", id="private cut"),
        (read_private_key, _public(GOOD), "holds no private key in PEM but a public one"),
        (read_private_key, _private(GOOD, b"secret"), "is encrypted; a private key without a passphrase was expected"),
        (read_private_key, _private(OTHER), "is of another kind (ECPrivateKey); Ed25519 was expected"),
        (read_public_key, None, "cannot be read (No such file or directory)"),
        (read_public_key, b"", "holds no public key in PEM"),
        pytest.param(read_public_key, _public(GOOD)[:-40], "holds no public key in PEM", id="public cut"),
        (read_public_key, _private(GOOD), "holds no public key in PEM but a private one"),
        (read_public_key, _public(OTHER), "is of another kind (ECPublicKey); Ed25519 was expected"),
    ],
)
def test_what_is_no_such_key_is_refused(
    read: Callable[[Path], object], content: bytes | None, problem: str, tmp_path: Path
) -> None:
    """The file is named, with what is wrong with it; nothing of its content is."""
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(KeyRefused) as refused:
        read(path)
    assert str(refused.value) == f"The key {path} {problem}."


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_private_key_that_others_may_use_is_refused(mode: int, tmp_path: Path) -> None:
    """It may be in other hands already."""
    make_key_pair(tmp_path)
    (tmp_path / PRIVATE_KEY).chmod(mode)
    with pytest.raises(KeyRefused, match=rf"open to others than its owner \(mode {mode:04o}\); chmod 600 it"):
        read_private_key(tmp_path / PRIVATE_KEY)
