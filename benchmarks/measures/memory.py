"""The most memory that a process has had."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes of one ``ru_maxrss``."""


def peak_bytes(pid: int) -> int:
    """Of any process; Linux only."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def own_peak_bytes() -> int:
    """Of this program. Linux's ``ru_maxrss`` also knows what its process was before: a copy of its parent."""
    if sys.platform == "linux":
        return peak_bytes(os.getpid())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
