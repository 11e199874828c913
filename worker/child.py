"""The child process that runs one stage, forked from a process that has imported torch and the stages.

A crash, an out-of-memory kill or a segfault fails the run, not the worker. The child leaves an exit code and
``outcome.json`` in the workspace; the worker writes the run's final state. See ``worker.preload``.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.store.errors import in_words
from backend.store.registry.storage_away import away
from vise_core.errors import ClusterLost, Stopped, ViseError
from vise_core.files.whole import whole_file
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

from .context import get_context
from .guardian import guard
from .reporter import ACTIVITY, StoreReporter

DONE, STOPPED, FAILED, DISK, NO_CLUSTER, CRASHED = 0, 10, 11, 13, 14, 1
OUTCOME = "outcome.json"
log = logging.getLogger("vise.run")


@dataclass(frozen=True)
class ChildTask:
    """A stage to run: spec, input paths with their digests and names, and the workspace."""

    run_id: UUID
    token: int
    stage: str
    spec: dict[str, Any]
    inputs: dict[str, Path]
    input_hashes: dict[str, str]
    names: dict[str, str]
    workspace: Path


def child_main(task: ChildTask, environment: dict[str, str], errors: Path) -> None:
    """Run ``task`` and exit; standard error, which native code writes to as well, goes to the file ``errors``."""
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    guard(partial(run_child, task), environment)


def run_child(task: ChildTask) -> int:
    """Run the stage, leave ``outcome.json`` in the workspace and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    reporter = StoreReporter(get_context(), task.run_id, task.token, task.workspace / ACTIVITY)
    signal.signal(signal.SIGTERM, lambda *_: reporter.stop.set())
    # Ctrl-C reaches all processes of the terminal; the worker decides whether to stop this run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        spec = validate_spec(task.stage, task.spec)
        result = run_stage(
            task.stage,
            spec,
            task.inputs,
            task.workspace,
            reporter,
            input_hashes=task.input_hashes,
            names=task.names,
            on_checked=lambda run: reporter.read(run.hashes),
        )
        reporter.close()
        outcome = {
            "result": result.model_dump(mode="json"),
            "headline": result.headline(),
            "synthetic": result.synthetic,
        }
        code = DONE
    except Stopped as error:
        outcome, code = {"reason": str(error)}, STOPPED
    except ClusterLost as error:
        outcome, code = {"reason": str(error)}, NO_CLUSTER
    except ViseError as error:
        if error.__cause__ is not None and _is_full(error.__cause__):
            _close(reporter, f"the disk of this worker is full: {error}", "error")
            return DISK
        # Paths are shown as in the workspace: where it lies is of no use to the user.
        outcome, code = {"reason": str(error).replace(f"{task.workspace}/", "")}, FAILED
    except Exception as error:
        reason = in_words(error)
        if _is_full(error):
            _close(reporter, f"the disk of this worker is full: {reason}", "error")
            return DISK
        outcome, code = {"reason": reason, "error": traceback.format_exc()[-8000:]}, CRASHED
    if code != DONE:
        level = "info" if code == STOPPED else "error"
        _close(reporter, str(outcome.get("error") or outcome["reason"]), level)
    try:
        with whole_file(task.workspace / OUTCOME) as part:
            part.write_text(json.dumps(outcome, allow_nan=False))
    except OSError as error:
        if not _is_full(error):
            raise
        return DISK
    return code


def _close(reporter: StoreReporter, message: str, level: str) -> None:
    """Write the log line of a stage that has not succeeded, and what is buffered, where that can be stored."""
    reporter.log(message, level=level)
    try:
        reporter.close()
    except Exception as error:  # of an earlier write: why the stage has failed
        log.error("the end of the log could not be written: %s", in_words(error))


def _is_full(error: BaseException) -> bool:
    """Return whether a disk is full; libraries in native code say so only in words."""
    passes = away(error)
    return (passes is not None and passes.full) or os.strerror(errno.ENOSPC) in str(error)
