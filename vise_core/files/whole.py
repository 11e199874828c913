"""Files that exist only when they are complete: written under another name, then renamed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

PART = re.compile(r"\.[0-9a-f]{32}\.part")


def is_part(name: str) -> bool:
    """Return whether this is the name of a file that is being written, or was when its process was killed."""
    return PART.fullmatch(name) is not None


@contextmanager
def whole_file(target: Path, *, folder: Path | None = None, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write a file to, which becomes ``target`` when the block ends; after an error it is removed.

    Args:
        folder: where it is written, on the same file system; by default beside ``target``.
        durable: have it on the disk before it is renamed, and its name when the block has ended, so that it outlives a
            power failure.
    """
    part = (folder or target.parent) / f".{uuid4().hex}.part"
    try:
        yield part
        if durable:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        part.replace(target)
        if durable:
            sync_folder(target.parent)
    finally:
        # Also after a rename to another name of the same file, which does nothing.
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on the disk, where the file system can do so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such call for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
