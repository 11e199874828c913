"""Processor priority of processes that may wait: runs, and helpers that read costly files."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
TRY_SECONDS = 2.0


def lower_priority(by: int) -> None:
    """Let other processes of this host go first: add ``by`` to the niceness of this process and of its session.

    The session must be this process's own. Where Linux groups processes by session (autogroups), the niceness of a
    process counts only within its session, and that of the session decides against all others. Never raises: a host that
    forbids it shares the processors evenly.
    """
    with suppress(OSError):
        _set_autogroup(os.nice(by))


def _set_autogroup(niceness: int) -> None:
    """Write the niceness of the session. Raises OSError.

    Linux accepts one write of the whole host in a tenth of a second from processes without privileges, and refuses others
    with EAGAIN.
    """
    end = time.monotonic() + TRY_SECONDS
    while True:
        try:
            AUTOGROUP.write_text(str(niceness))
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)
