"""What the fork server imports last, after the stages.

The process of a run is a fork of it (multiprocessing's forkserver). Nothing here may start a thread or touch a GPU: a
fork would copy only part of their state.
"""

from __future__ import annotations

import gc

from . import child  # noqa: F401 -- what a run's process needs
from .guardian import die_with_parent

# Forks share these pages as long as no process writes to them, which a garbage collection would.
gc.freeze()
die_with_parent()
