"""Reads versions and aliases from the artifacts folder, and believes nothing that does not pass its check."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn_mlops.errors import NoModel, RegistryError, VersionNotFound, VersionRefused
from churn_mlops.registry.manifest import FORMAT_VERSION, GRAPH, MANIFEST, SERVED, Manifest, name_version

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.registry.signatures import TrustedKeys

_VERSION_NAME: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_Name = Annotated[str, Field(pattern=f"^{_VERSION_NAME.pattern}$")]


class Aliases(BaseModel):
    """Which version plays which part.

    Attributes:
        champion: the one that is served.
        challenger: the newest one that waits to be promoted.
        previous: the champion before; a rollback brings it back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion: _Name | None = None
    challenger: _Name | None = None
    previous: _Name | None = None

    def parts_of(self, version: str) -> list[str]:
        """List the aliases that name a version."""
        return [alias for alias, named in self if named == version]


@dataclass(frozen=True)
class Registry:
    """The versions under an artifacts folder.

    Attributes:
        root: the folder that holds `models/` and `registry/`.
        trusted: the keys by one of which a version has to be signed to be read; None where none has to be.
    """

    root: Path
    trusted: TrustedKeys | None = None

    @property
    def models(self) -> Path:
        """The folder of the version folders."""
        return self.root / "models"

    @property
    def aliases_file(self) -> Path:
        """The file of the aliases."""
        return self.root / "registry" / "aliases.json"

    @property
    def history_file(self) -> Path:
        """The file of the promotions and rollbacks, one a line, oldest first."""
        return self.root / "registry" / "promotions.jsonl"

    def signature_file(self, version: str) -> Path:
        """The file of a version's signature, if it has one."""
        return self.root / "registry" / "signatures" / f"{version}.json"

    def versions(self) -> list[str]:
        """List the version folders, oldest first; half-written ones have other names and are not listed."""
        if not self.models.is_dir():
            return []
        return sorted(entry.name for entry in self.models.iterdir() if _VERSION_NAME.fullmatch(entry.name))

    def aliases(self) -> Aliases | None:
        """Read the aliases; None where nothing was ever registered.

        Raises:
            RegistryError: the file is there but cannot be read as aliases.
        """
        try:
            return Aliases.model_validate_json(self.aliases_file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise RegistryError(
                f"registry/{self.aliases_file.name} cannot be used: {_first_problem(error)}."
            ) from error

    def champion(self) -> str:
        """Name the version to serve: the champion, or the bundled sample while nothing was ever registered.

        Raises:
            NoModel: there is neither.
        """
        aliases = self.aliases()
        if aliases is not None:
            if aliases.champion is None:
                raise NoModel("No version is champion; promote one with churn-mlops models promote VERSION.")
            return aliases.champion
        for version in reversed(self.versions()):
            if self.read(version).sample:
                return version
        raise NoModel(f"There is no model in {self.models.name}/ yet; train one with churn-mlops train.")

    def resolve(self, name: str) -> str:
        """Name the version that an alias stands for; any other name is a version's own.

        Raises:
            NoModel: the champion was asked for and there is none.
            RegistryError: no version has that part.
        """
        if name == "champion":
            return self.champion()
        if name not in Aliases.model_fields:
            return name
        named = (self.aliases() or Aliases()).model_dump()[name]
        if named is None:
            raise RegistryError(f"No version is {name}.")
        return str(named)

    def fingerprint(self, version: str | None = None) -> tuple[object, ...]:
        """Describe what the champion depends on, and the files of a version if one is named: equal while unchanged.

        It takes microseconds, and neither checks nor raises anything.
        """
        try:
            aliases = self.aliases_file.read_bytes()
        except OSError as error:
            return (error.errno, _stamp(self.models), *self._stamps(version))
        return (aliases, *self._stamps(version))

    def read(self, version: str) -> Manifest:
        """Read and check a version's manifest.

        Raises:
            VersionNotFound: there is no such version.
            VersionRefused: its format is unknown, its content is not the one that its name stands for, or it is not
                signed by a trusted key.
        """
        file = self._folder(version) / MANIFEST
        try:
            written = file.read_bytes()
            content: dict[str, Any] = json.loads(written)
            named = content.pop("version")
            if content["format_version"] != FORMAT_VERSION:
                raise VersionRefused(
                    version,
                    f"its format_version is {content['format_version']!r} and this program reads {FORMAT_VERSION}.",
                )
            manifest = Manifest.model_validate({"version": named, **content})
            expected = name_version(manifest.created_at, content)  # refuses NaN and infinity
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise VersionRefused(version, f"{MANIFEST} cannot be read ({_first_problem(error)}).") from error
        if not named == version == expected:
            raise VersionRefused(version, f"{MANIFEST} does not hold the content that the version's name stands for.")
        if self.trusted is not None:
            self.trusted.check(manifest, written, self.read_signature(version))
        return manifest

    def read_signature(self, version: str) -> bytes | None:
        """Read a version's signature as it is; None if it has none.

        Raises:
            VersionRefused: it cannot be read.
        """
        try:
            return self.signature_file(version).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VersionRefused(version, f"its signature cannot be read ({error.strerror}).") from error

    def read_file(self, manifest: Manifest, name: str = GRAPH) -> bytes:
        """Read one file of a version whole, and check it against the hash in the manifest.

        Raises:
            VersionRefused: the file is missing, unreadable or not the one that was written.
        """
        if name not in manifest.files:
            raise VersionRefused(manifest.version, f"{MANIFEST} has no hash of {name}.")
        try:
            content = (self._folder(manifest.version) / name).read_bytes()
        except OSError as error:
            raise VersionRefused(manifest.version, f"{name} cannot be read ({error.strerror}).") from error
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise VersionRefused(manifest.version, f"the sha256 of {name} is not the one in {MANIFEST}.")
        return content

    def _stamps(self, version: str | None) -> list[object]:
        if version is None:
            return []
        folder = self.models / version
        files = (folder / name for name in (MANIFEST, *SERVED))
        return [_stamp(path) for path in (folder, *files, self.signature_file(version))]

    def _folder(self, version: str) -> Path:
        # the name is checked before it becomes part of a path
        if not _VERSION_NAME.fullmatch(version) or not (self.models / version).is_dir():
            raise VersionNotFound(version, self.versions())
        return self.models / version


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the path, since services show this
    return f"{type(error).__name__}: {error}"
