"""Signatures of versions: who vouches for a manifest, and with it for every file whose hash it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Base64UrlBytes, BaseModel, ConfigDict

from churn_mlops.errors import VersionRefused
from churn_mlops.registry.signing_keys import fingerprint, read_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from churn_mlops.registry.manifest import Manifest


class Signature(BaseModel):
    """What a signature file holds.

    Attributes:
        public_key: of who signed, 32 bytes; it says which key, never that it is to be trusted.
        signature: Ed25519 of the bytes of manifest.json, 64 bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_key: Base64UrlBytes
    signature: Base64UrlBytes


def make_signature(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a manifest.json, byte for byte: the content of its signature file."""
    public_key = key.public_key().public_bytes_raw()
    return Signature.model_construct(public_key=public_key, signature=key.sign(content)).model_dump_json().encode()


def find_signer(version: str, content: bytes, signature: bytes) -> Ed25519PublicKey:
    """Find out whose signature it is.

    Args:
        version: its name, for the sentence.
        content: of its manifest.json.
        signature: content of its signature file.

    Raises:
        VersionRefused: it is no signature of this manifest.
    """
    try:
        parts = Signature.model_validate_json(signature)
        key = Ed25519PublicKey.from_public_bytes(parts.public_key)
        key.verify(parts.signature, content)
    except InvalidSignature as error:
        raise VersionRefused(version, "its signature is not one of this manifest.json: one of them changed.") from error
    except ValueError as error:  # a ValidationError is one as well
        raise VersionRefused(version, "its signature cannot be read.") from error
    return key


@dataclass(frozen=True)
class TrustedKeys:
    """The keys by one of which a version has to be signed.

    Attributes:
        keys: the public ones; several while one takes over from another.
    """

    keys: tuple[Ed25519PublicKey, ...]

    @classmethod
    def read(cls, paths: Iterable[Path]) -> TrustedKeys:
        """Read them from their files.

        Raises:
            KeyRefused: a file holds no such key.
        """
        return cls(tuple(map(read_public_key, paths)))

    def check(self, manifest: Manifest, content: bytes, signature: bytes | None) -> None:
        """Refuse a version that is not signed by one of them.

        Args:
            manifest: of the version.
            content: the bytes that it was read from.
            signature: content of its signature file; None if there is none.

        Raises:
            VersionRefused: it is not signed, by another key, or not as it is.
        """
        version = manifest.version
        if signature is None:
            note = " (the bundled sample comes without a signature)" if manifest.sample else ""
            raise VersionRefused(
                version,
                f"it is not signed{note}, and serving.require_signature asks for it; see churn-mlops models sign.",
            )
        signer = find_signer(version, content, signature)
        if signer not in self.keys:
            raise VersionRefused(
                version,
                f"it is signed by the key {fingerprint(signer)}, and serving.require_signature trusts "
                f"{' and '.join(map(fingerprint, self.keys))} only.",
            )
