"""Files that are either the old content or the new one, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from churn_mlops.errors import NotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator


def replace_file(path: Path, content: bytes | BinaryIO) -> None:
    """Write a file beside its place, force it to disk, and rename it over the old one.

    Args:
        path: its place.
        content: all of it, or a file to copy it from.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries, and so a rename in it, to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explain_unwritable(folder: Path) -> Iterator[None]:
    """Turn a refusal to write in or below a folder into the sentence that says how to be allowed.

    Raises:
        NotWritable: instead of any PermissionError, or of an OSError for a read-only file system.
    """
    try:
        yield
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
            raise
        refusing = Path(error.filename or folder).absolute()
        found, status = next(filter(None, map(_look_at, (refusing, *refusing.parents))))
        raise NotWritable(found, (status.st_uid, status.st_gid), (os.geteuid(), os.getegid())) from error


def _look_at(path: Path) -> tuple[Path, os.stat_result] | None:
    try:
        return path, path.stat()
    except OSError:
        return None
