"""Peak memory of a process."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of ``ru_maxrss``."""


def peak_bytes(pid: int) -> int:
    """Return the peak resident memory of any process, in bytes. Linux only."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def own_peak_bytes() -> int:
    """Return the peak resident memory of this program, in bytes.

    Linux's ``ru_maxrss`` would include the parent, of which the process was a copy before it started the program.
    """
    if sys.platform == "linux":
        return peak_bytes(os.getpid())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
