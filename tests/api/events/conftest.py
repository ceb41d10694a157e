"""A version that was trained on an event log, and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from event_versions import train_version

if TYPE_CHECKING:
    from event_versions import EventVersion


@pytest.fixture(scope="session")
def event_version(tmp_path_factory: pytest.TempPathFactory) -> EventVersion:
    """The version, to read only."""
    return train_version(tmp_path_factory.mktemp("event-version"))
