"""Copies what an image serves, and nothing else: the champion, what it scores events by, and its signature."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from churn_mlops.errors import ChurnMlopsError
from churn_mlops.registry.manifest import MANIFEST
from churn_mlops.registry.reading import Aliases, Registry


def copy_champion(source: Registry, target: Registry) -> str | None:
    """Copy the champion (or the bundled sample) and, if anything was ever registered, the alias that names it.

    Returns:
        The version copied, or None where the source has no version at all.

    Raises:
        ChurnMlopsError: there are versions but no champion, or it fails its checks.
    """
    target.models.mkdir(parents=True, exist_ok=True)
    if not source.versions():
        return None
    version = source.champion()
    manifest = source.read(version)
    for name in manifest.served_files:
        source.read_file(manifest, name)
    (target.models / version).mkdir()
    for name in (MANIFEST, *manifest.served_files):
        shutil.copyfile(source.models / version / name, target.models / version / name)
    signature = source.read_signature(version)
    if signature is not None:
        target.signature_file(version).parent.mkdir(parents=True, exist_ok=True)
        target.signature_file(version).write_bytes(signature)
    if source.aliases() is not None:
        target.aliases_file.parent.mkdir(parents=True, exist_ok=True)
        target.aliases_file.write_text(Aliases(champion=version).model_dump_json(indent=2) + "\n")
    return version


if __name__ == "__main__":
    try:
        baked = copy_champion(Registry(Path(sys.argv[1])), Registry(Path(sys.argv[2])))
    except ChurnMlopsError as error:
        sys.exit(f"Nothing was baked in: {error}")
    sys.stdout.write(f"baked in: {baked or 'no model'}\n")
