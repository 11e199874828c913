"""In processes that a fault schedule starts: while the file ``$VISE_TEST_FULL`` exists, no file can be written out."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

FULL = Path(os.environ.get("VISE_TEST_FULL", "/nowhere"))
fsync: Callable[[int], None] = os.fsync


def full_or_fsync(file: int) -> None:
    """Write a file out, as the storage does before it publishes one."""
    if FULL.exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(file)


if "VISE_TEST_FULL" in os.environ:
    os.fsync = full_or_fsync  # type: ignore[assignment]
