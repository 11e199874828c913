"""In processes that a fault schedule starts: what goes wrong when a file is written out.

While the file ``$VISE_TEST_FULL`` exists, none can be. Once ``$VISE_TEST_AT_SAVE`` exists, the next worker whose stage
saves its state is sent the signal that this file names, in the midst of the save.
"""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FULL = Path(os.environ.get("VISE_TEST_FULL", "/nowhere"))
AT_SAVE = Path(os.environ.get("VISE_TEST_AT_SAVE", "/nowhere"))
SAVE_SECONDS = 0.3
"""Time that the rest of a save takes after the signal."""
fsync: Callable[[int], None] = os.fsync


def faulty_fsync(file: int) -> None:
    """Write a file out, as the storage does before it publishes one."""
    if FULL.exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if AT_SAVE.exists() and "/checkpoints/" in str(Path(f"/proc/self/fd/{file}").readlink()):
        _signal_worker()
    fsync(file)


def _signal_worker() -> None:
    claimed = AT_SAVE.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError, ProcessLookupError):
        AT_SAVE.rename(claimed)
        # Stage → guardian → fork server → worker. If one of them has just been killed, another process has their place.
        worker = _parent(_parent(os.getppid()))
        if b"\0worker\0run\0" not in Path(f"/proc/{worker}/cmdline").read_bytes():
            return
        number = int(claimed.read_text())
        claimed.rename(AT_SAVE.with_suffix(f".{worker}.sent"))
        os.kill(worker, number)
        time.sleep(SAVE_SECONDS)


def _parent(pid: int) -> int:
    # After the name of the program, which may hold spaces and brackets: state and parent.
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


if "VISE_TEST_FULL" in os.environ or "VISE_TEST_AT_SAVE" in os.environ:
    os.fsync = faulty_fsync  # type: ignore[assignment]
