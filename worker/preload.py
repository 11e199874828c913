"""Imports of the fork server: torch and the stages, which take seconds, are imported once.

The process of a run is a fork of it (multiprocessing's forkserver). Nothing here may start a thread or touch a GPU: a
fork would copy only part of their state.
"""

from __future__ import annotations

import gc
import importlib

from backend.settings import settings
from vise_core.specs.stages import STAGES

from . import child  # noqa: F401 -- what a run's process needs
from .guardian import die_with_parent

for _stage in STAGES.values() if settings().preload else ():
    importlib.import_module(_stage.runner.partition(":")[0])
# Forks share these pages as long as no process writes to them, which a garbage collection would.
gc.freeze()
die_with_parent()
