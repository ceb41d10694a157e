"""Ed25519 key files: a private one that signs versions, and a public one that proves who did."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from churn_mlops.errors import KeyRefused

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_KEY, PUBLIC_KEY = "private.pem", "public.pem"

_PRIVATE_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644


def make_key_pair(folder: Path) -> Ed25519PublicKey:
    """Write a new private key, which only its owner may read, and its public key; no file is ever replaced.

    Raises:
        KeyRefused: there is one of them already.
        OSError: the folder cannot be written to.
    """
    key = Ed25519PrivateKey.generate()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PRIVATE_KEY, PUBLIC_KEY):
        if (folder / name).exists():
            raise KeyRefused(folder / name, "is there already, and a key is never replaced; name another folder")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _create(folder / PRIVATE_KEY, private, _PRIVATE_MODE)
    _create(folder / PUBLIC_KEY, public, _PUBLIC_MODE)
    return key.public_key()


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the key to sign with: PEM (PKCS 8), not encrypted.

    Raises:
        KeyRefused: it is no such key, or others than its owner may read or replace it.
    """
    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise KeyRefused(path, "is encrypted; a private key without a passphrase was expected") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefused(path, f"holds no private key in PEM{_look_closer(content, b'PUBLIC')}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(path, f"is of another kind ({type(key).__name__}); Ed25519 was expected")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyRefused(path, f"is open to others than its owner (mode {mode:04o}); chmod 600 it, or make a new one")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a key to check signatures with: PEM.

    Raises:
        KeyRefused: it is no such key.
    """
    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefused(path, f"holds no public key in PEM{_look_closer(content, b'PRIVATE')}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyRefused(path, f"is of another kind ({type(key).__name__}); Ed25519 was expected")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Name a key: the first 16 hexadecimal digits of the sha256 of its DER (SubjectPublicKeyInfo).

    `openssl pkey -pubin -in public.pem -outform DER | sha256sum` begins with the same.
    """
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyRefused(path, f"cannot be read ({error.strerror})") from error


def _look_closer(content: bytes, other: bytes) -> str:
    """Say whether a key is the other one of its pair."""
    return f" but a {other.decode().lower()} one" if b"BEGIN " + other in content else ""


def _create(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
