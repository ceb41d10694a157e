"""Changes the registry: adds versions and moves aliases, one process at a time, each change whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from churn_mlops.atomic_files import explain_unwritable, replace_file, sync_folder
from churn_mlops.errors import RegistryError
from churn_mlops.registry.history import Grounds, Move, record_move
from churn_mlops.registry.manifest import GRAPH, MANIFEST, Manifest, seal
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.signatures import make_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_UNFINISHED: Final = ".unfinished-"
_LOCK_SECONDS: Final = 60


def register(registry: Registry, draft: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Add a version: written beside its place and renamed in, so that a killed job leaves nothing half-made.

    The first version ever registered becomes champion; a later one becomes challenger.

    Args:
        registry: where to.
        draft: the manifest; its version and file hashes are filled in here.
        files: the content of every other file, by name.

    Returns:
        The manifest as written.

    Raises:
        NotWritable: the artifacts folder refuses.
        OSError: the disk is full or fails; the registry is then as it was.
    """
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = seal(draft.model_copy(update={"files": hashes}))
    with _lock(registry):
        for leftover in registry.models.glob(f"{_UNFINISHED}*"):  # its writer held this lock, so it is gone
            shutil.rmtree(leftover)
        aliases = registry.aliases() or Aliases()
        if manifest.version in registry.versions():  # an equal run ended in the same second
            return manifest
        _write_folder(registry, manifest, files)
        part = "challenger" if aliases.champion else "champion"
        try:
            _write_aliases(registry, aliases.model_copy(update={part: manifest.version}))
        except BaseException:
            _withdraw(registry, manifest.version)
            raise
    return manifest


def promote(registry: Registry, version: str, grounds: Grounds | None = None) -> Aliases:
    """Make a version champion, and the champion `previous`; the move is recorded with its grounds.

    Raises:
        VersionNotFound: there is no such version.
        VersionRefused: its files fail their checks; the champion stays.
        RegistryError: it is champion already, or the champion is not the one that it was judged against.
    """
    _check_served(registry, version)
    with _lock(registry):
        aliases = registry.aliases() or Aliases()
        if aliases.champion == version:
            raise RegistryError(f"{version} is champion already.")
        if grounds is not None and aliases.champion != grounds.champion:
            raise RegistryError(f"{aliases.champion} became champion while {version} was judged; promote it again.")
        challenger = None if aliases.challenger == version else aliases.challenger
        moved = Aliases(champion=version, challenger=challenger, previous=aliases.champion)
        record_move(registry, _describe_promotion(aliases.champion, version, grounds))
        _write_aliases(registry, moved)
    return moved


def roll_back(registry: Registry) -> Aliases:
    """Swap champion and previous, at once and without judging; the move is recorded.

    Raises:
        RegistryError: there is no previous champion.
        VersionRefused: the previous champion fails its checks; the champion stays.
    """
    with _lock(registry):
        aliases = registry.aliases() or Aliases()
        if aliases.previous is None:
            raise RegistryError("There is no previous champion to go back to.")
        _check_served(registry, aliases.previous)
        moved = aliases.model_copy(update={"champion": aliases.previous, "previous": aliases.champion})
        record_move(
            registry,
            Move(
                decided_at=datetime.now(UTC),
                action="rollback",
                from_version=aliases.champion,
                to_version=aliases.previous,
            ),
        )
        _write_aliases(registry, moved)
    return moved


def sign(registry: Registry, version: str, key: Ed25519PrivateKey) -> Manifest:
    """Sign a version, after checking every file of it that is there; an older signature gives way.

    Raises:
        VersionNotFound: there is no such version.
        VersionRefused: its files fail their checks.
        NotWritable: the artifacts folder refuses.
    """
    manifest = registry.read(version)
    folder = registry.models / version
    for name in (GRAPH, *(name for name in manifest.files if (folder / name).exists())):
        registry.read_file(manifest, name)
    signature = make_signature((folder / MANIFEST).read_bytes(), key)
    with _lock(registry):
        registry.signature_file(version).parent.mkdir(exist_ok=True)
        replace_file(registry.signature_file(version), signature)
    return manifest


def require_writable(registry: Registry) -> None:
    """Make sure, before any work is done, that versions can be written.

    Raises:
        NotWritable: they cannot; the sentence says who may, and what to add to docker run.
    """
    with _lock(registry):
        for folder in (registry.models, registry.aliases_file.parent):
            with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder):
                pass


def _check_served(registry: Registry, version: str) -> None:
    """Make sure that the service would take a version."""
    manifest = registry.read(version)
    for name in manifest.served_files:
        registry.read_file(manifest, name)


def _describe_promotion(champion: str | None, version: str, grounds: Grounds | None) -> Move:
    return Move(
        decided_at=datetime.now(UTC),
        action="promote",
        from_version=champion,
        to_version=version,
        forced=grounds is not None and grounds.reason is not None,
        reason=grounds.reason if grounds else None,
        checks=grounds.checks if grounds else (),
    )


def _write_folder(registry: Registry, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=registry.models))
    try:
        content = manifest.model_dump_json(indent=2).encode() + b"\n"
        for name, data in {**files, MANIFEST: content}.items():
            _write_synced(unfinished / name, data)
        unfinished.chmod(0o755)
        sync_folder(unfinished)
        unfinished.rename(registry.models / manifest.version)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(registry.models)


def _withdraw(registry: Registry, version: str) -> None:
    if not (registry.aliases() or Aliases()).parts_of(version):
        shutil.rmtree(registry.models / version, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _write_aliases(registry: Registry, aliases: Aliases) -> None:
    replace_file(registry.aliases_file, aliases.model_dump_json(indent=2).encode() + b"\n")


@contextmanager
def _lock(registry: Registry) -> Iterator[None]:
    with explain_unwritable(registry.root):
        registry.models.mkdir(parents=True, exist_ok=True)
        registry.aliases_file.parent.mkdir(parents=True, exist_ok=True)
        # the kernel lets go of this lock when its holder dies
        with FileLock(registry.aliases_file.with_name(".lock"), timeout=_LOCK_SECONDS, mode=0o666):
            yield
