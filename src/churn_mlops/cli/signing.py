"""`churn-mlops models sign` and `keygen`: whose word a version is served on."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from churn_mlops.config import load_settings
from churn_mlops.errors import VersionRefused
from churn_mlops.registry.manifest import MANIFEST
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.signatures import find_signer
from churn_mlops.registry.signing_keys import PRIVATE_KEY, PUBLIC_KEY, fingerprint, make_key_pair, read_private_key
from churn_mlops.registry.writing import sign as sign_version
from churn_mlops.training.train_baseline import Config

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sign(
    version: Annotated[str, typer.Argument(help="A version, as churn-mlops models list shows it, or: champion.")],
    key: Annotated[Path, typer.Option(help="The file of the private key.")],
    config: Config = None,
) -> None:
    """Sign a version, so that services whose serving.require_signature names the public key serve it."""
    private_key = read_private_key(key)
    registry = Registry(load_settings(config).artifacts.path)
    signed = sign_version(registry, registry.champion() if version == "champion" else version, private_key)
    typer.echo(f"{signed.version} is signed by the key {fingerprint(private_key.public_key())}.")


def keygen(out: Annotated[Path, typer.Option(help="The folder to write private.pem and public.pem to.")]) -> None:
    """Make a key pair: keep private.pem to yourself, and name public.pem in serving.require_signature."""
    public_key = make_key_pair(out)
    typer.echo(f"{out / PRIVATE_KEY} signs, {out / PUBLIC_KEY} proves it; they are the key {fingerprint(public_key)}.")


def describe_signature(registry: Registry, version: str) -> str:
    """Say by which key a version is signed, whether or not anybody trusts it."""
    try:
        signer = _find_signer(registry, version)
    except VersionRefused as error:
        return str(error)
    return f"{version} is signed by the key {fingerprint(signer)}." if signer else f"{version} is not signed."


def _find_signer(registry: Registry, version: str) -> Ed25519PublicKey | None:
    signature = registry.read_signature(version)
    if signature is None:
        return None
    return find_signer(version, (registry.models / version / MANIFEST).read_bytes(), signature)
