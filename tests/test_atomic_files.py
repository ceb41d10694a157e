"""Atomic files: the old content or the new one, and a sentence where neither may be written."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from churn_mlops.atomic_files import explain_unwritable, replace_file, sync_folder
from churn_mlops.errors import NotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_file_is_written_where_there_was_none(tmp_path: Path) -> None:
    """The content arrives whole, readable by everyone, with nothing beside it."""
    replace_file(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert [(file.name, file.stat().st_mode & 0o777) for file in tmp_path.iterdir()] == [("a.json", 0o644)]


def test_a_file_is_replaced_not_rewritten(tmp_path: Path) -> None:
    """Who has the old file open keeps reading the old content."""
    (tmp_path / "a.json").write_bytes(b"old")
    with (tmp_path / "a.json").open("rb") as before:
        replace_file(tmp_path / "a.json", b"new")
        assert before.read() == b"old"
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """If the last step fails (here: a folder is in the way), what was half-written is taken away."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "taken", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_process_that_may_not_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A refusal changes nothing, and reaches the caller as the system gave it."""
    (tmp_path / "a.json").write_bytes(b"old")
    with forbidden(tmp_path), pytest.raises(PermissionError):
        replace_file(tmp_path / "a.json", b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_syncing_a_folder_leaves_no_descriptor_open(tmp_path: Path) -> None:
    """A server that writes for months does not run out of descriptors: the lowest free one stays the same."""
    before = os.dup(0)
    os.close(before)
    sync_folder(tmp_path)
    after = os.dup(0)
    os.close(after)
    assert after == before


def test_a_refusal_names_the_folder_and_its_owner(tmp_path: Path) -> None:
    """The sentence says whose the folder is, who asked, and what to add to docker run."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    owner = f"{folder.stat().st_uid}:{folder.stat().st_gid}"
    tmp_path.chmod(0o755)
    with pytest.raises(NotWritable) as caught, forbidden(folder), explain_unwritable(folder):
        (folder / "models").mkdir()
    assert str(caught.value).endswith(f"add --user {owner} to docker run.")
    assert f"it belongs to {owner} and this process runs as " in str(caught.value)


def test_a_folder_that_may_not_be_looked_into_is_explained_too(tmp_path: Path) -> None:
    """Where even the parent is closed, the nearest folder that can be seen is named, and nothing else goes wrong."""
    closed = tmp_path / "closed"
    closed.mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(NotWritable, match="--user"), forbidden(closed, 0), explain_unwritable(closed / "a" / "b"):
        (closed / "a" / "b").mkdir()


def test_a_read_only_file_system_is_explained(tmp_path: Path) -> None:
    """A container that was started read-only gets the same sentence as one without permission."""
    with pytest.raises(NotWritable, match=str(tmp_path)), explain_unwritable(tmp_path):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / "models"))


def test_other_failures_are_left_as_they_are(tmp_path: Path) -> None:
    """A full disk is no question of permission."""
    with pytest.raises(OSError, match="No space") as caught, explain_unwritable(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not isinstance(caught.value, NotWritable)


@contextmanager
def forbidden(folder: Path, mode: int = 0o555) -> Iterator[None]:
    """Close a folder, and give up what root may do where the tests are run by root."""
    user, before = os.geteuid(), folder.stat().st_mode
    folder.chmod(mode)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(before)
