"""Processor priority of processes that may wait: runs, and helpers that read costly files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def lower_priority(by: int) -> None:
    """Let other processes of this host go first: add ``by`` to the niceness of this process and of its session.

    The session must be this process's own. Where Linux groups processes by session (autogroups), the niceness of a
    process counts only within its session, and that of the session decides against all others. Never raises: a host that
    forbids it shares the processors evenly.
    """
    with suppress(OSError):
        niceness = os.nice(by)
        AUTOGROUP.write_text(str(niceness))
