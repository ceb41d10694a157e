"""Holds a version in memory, as it is scored with here and sent to others who do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_mlops.registry.manifest import GRAPH, Manifest

if TYPE_CHECKING:
    from churn_mlops.registry.reading import Registry


@dataclass(frozen=True)
class VersionContent:
    """A version as it travels: checked where it was read, and then the same bytes everywhere.

    Attributes:
        manifest_json: its manifest.
        files: its graphs, by name.
    """

    manifest_json: str
    files: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, registry: Registry, manifest: Manifest) -> VersionContent:
        """Read what scoring needs of a version.

        Raises:
            VersionRefused: a file fails its check.
        """
        names = (GRAPH, *(horizon.graph for horizon in manifest.horizons))
        return cls(manifest.model_dump_json(), tuple((name, registry.read_file(manifest, name)) for name in names))

    @property
    def manifest(self) -> Manifest:
        """The version's."""
        return Manifest.model_validate_json(self.manifest_json)

    def read_file(self, manifest: Manifest, name: str = GRAPH) -> bytes:
        """Give one of the files, which were checked when they were read."""
        return dict(self.files)[name]
