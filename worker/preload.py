"""Imported by the process that runs are forked from, and by it alone: what takes seconds to import, once.

A run's process begins as a copy of that one (multiprocessing's forkserver), so torch and the stages are there
already. Nothing context may start a thread or touch a GPU: a fork would copy half of it.
"""

from __future__ import annotations

import gc
import importlib

from vise_core.specs.stages import STAGES

from . import child

for _stage in STAGES.values():
    importlib.import_module(_stage.runner.partition(":")[0])
# Each run's process shares these pages as long as neither writes to them, which a collection would.
gc.freeze()
child.die_with_parent()
