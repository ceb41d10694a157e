"""A program that cannot be read is refused in a sentence that says where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from version_drafts import make_draft

from churn_mlops.errors import VersionRefused
from churn_mlops.inference.events.program import read_program
from churn_mlops.registry.manifest import EVENT_PROGRAM, GRAPH
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("content", "where"), [(b"{", "the file"), (b'{"steps": 1}', "snapshot")])
def test_a_program_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, where: str) -> None:
    """By what is wrong first: the file as a whole, or a field of it."""
    registry = Registry(tmp_path)
    manifest = register(registry, make_draft(), {GRAPH: b"graph", EVENT_PROGRAM: content})
    with pytest.raises(VersionRefused, match=rf"cannot be read \({where}: "):
        read_program(registry, manifest)
