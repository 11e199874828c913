"""The child process of one run, forked from a process that has imported torch and the stages (``worker.preload``).

A crash, an out-of-memory kill or a segfault here fails the run, never the worker. How it went is told by the
exit code and ``outcome.json`` in the workspace; the worker writes the run's end.
"""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.store.errors import in_words
from vise_core.errors import Stopped, ViseError
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

from .context import context
from .reporter import StoreReporter

DONE, STOPPED, REFUSED, CRASHED = 0, 10, 11, 1
OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Order:
    """What the child is to do."""

    run_id: UUID
    token: int
    stage: str
    spec: dict[str, Any]
    inputs: dict[str, Path]
    input_hashes: dict[str, str]
    names: dict[str, str]
    workspace: Path


def die_with_parent() -> None:
    """On Linux, be killed when the process dies that this one was forked from."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def separate(environment: dict[str, str]) -> None:
    """Lead a session of one's own, with the worker's environment.

    The process that this one was forked from dies with the worker, and this one with that: a run must never have
    two processes.
    """
    os.setsid()
    die_with_parent()
    worker = multiprocessing.parent_process()
    if worker is None or not worker.is_alive():
        os._exit(CRASHED)
    os.environ.clear()
    os.environ.update(environment)


def begin(order: Order, environment: dict[str, str], errors: Path) -> None:
    """Carry out ``order`` and exit; what native code says on standard error goes to the file ``errors``."""
    separate(environment)
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(carry_out(order))


def carry_out(order: Order) -> int:
    """Run the stage and leave ``outcome.json`` in the workspace; the exit code says how it went."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    reporter = StoreReporter(context(), order.run_id, order.token)
    signal.signal(signal.SIGTERM, lambda *_: reporter.stop.set())
    # Ctrl-C reaches the whole terminal; the worker decides what it means for this run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        spec = validate_spec(order.stage, order.spec)
        result = run_stage(
            order.stage,
            spec,
            order.inputs,
            order.workspace,
            reporter,
            input_hashes=order.input_hashes,
            names=order.names,
            on_checked=lambda run: reporter.read(run.hashes),
        )
        outcome = {
            "result": result.model_dump(mode="json"),
            "headline": result.headline(),
            "synthetic": result.synthetic,
        }
        code = DONE
    except Stopped as error:
        outcome, code = {"reason": str(error)}, STOPPED
    except ViseError as error:
        outcome, code = {"reason": str(error)}, REFUSED
    except Exception as error:
        reason = in_words(error)
        outcome, code = {"reason": reason, "error": traceback.format_exc()[-8000:]}, CRASHED
    if code != DONE:
        reporter.log(
            str(outcome.get("error") or outcome["reason"]), level="info" if code == STOPPED else "error"
        )
    reporter.close()
    part = order.workspace / f"{OUTCOME}.part"
    part.write_text(json.dumps(outcome, allow_nan=False))
    part.replace(order.workspace / OUTCOME)
    return code
