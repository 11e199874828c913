"""What a worker knows of the process of a stage: its fork server, lease and time limits, and how it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from vise_client.schemas.run_states import RunState
from vise_core.specs.stages import STAGES

from .guardian import KILL
from .reporter import ACTIVITY

GUARDIAN_SECONDS = 10.0
"""Time in which a guardian kills all processes of its stage."""
SERVER_DIED = 255
"""Exit code that multiprocessing reports of a process whose fork server died, and with it the process."""

# Not a fork of this process, which has threads, nor a new interpreter, which would import for seconds.
PROCESSES = multiprocessing.get_context("forkserver")
STAGE_MODULES = [stage.runner.partition(":")[0] for stage in STAGES.values()]
PROCESSES.set_forkserver_preload([*STAGE_MODULES, "worker.preload"])


def start_fork_server(*, stages: bool) -> None:
    """Start the fork server, so that the first run need not wait for it.

    ``stages``: whether it imports torch and all stages, which take seconds, once for all runs.
    """
    if not stages:
        PROCESSES.set_forkserver_preload(["worker.preload"])
    forkserver.ensure_running()


class Lease:
    """State of a run's lease: whether it is lost, and the state requested to stop the run, if any."""

    def __init__(self, seconds: float) -> None:
        self.lost = threading.Event()
        self.requested: RunState | None = None
        self.seconds, self.renewed_at = seconds, time.monotonic()

    def ended(self) -> bool:
        """Return whether the run is to stop, or is no longer this worker's."""
        return self.lost.is_set() or self.requested is not None

    def overdue(self) -> bool:
        """Return whether another worker may have claimed the run meanwhile."""
        return time.monotonic() - self.renewed_at > self.seconds

    def late(self) -> bool:
        """Return whether a renewal has failed, as one is due after a quarter of the lease."""
        return time.monotonic() - self.renewed_at > 0.4 * self.seconds


@dataclass
class TimeLimits:
    """How long one attempt of a run may take, and how long its stage may report nothing; 0: no limit.

    ``stopped_at``: when the stage was told to stop. ``suspended_at``: since when it is suspended, which no limit counts.
    """

    hours: float
    silent_minutes: float
    workspace: Path

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.stopped_at: float | None = None
        self.suspended_at: float | None = None
        self.note_activity()

    def note_activity(self) -> None:
        """Count the time without a report from now on."""
        (self.workspace / ACTIVITY).touch()

    def suspend(self) -> None:
        """Count no time from now on, as the stage is suspended."""
        self.suspended_at = time.monotonic()

    def resume(self) -> None:
        """Count time again."""
        assert self.suspended_at is not None
        lasted = time.monotonic() - self.suspended_at
        self.suspended_at = None
        self.began += lasted
        if self.stopped_at is not None:
            self.stopped_at += lasted
        self.note_activity()

    def grace_is_over(self, seconds: float) -> bool:
        """Return whether the stage was told to stop more than ``seconds`` ago."""
        if self.stopped_at is None or self.suspended_at is not None:
            return False
        return time.monotonic() - self.stopped_at > seconds

    def exceeded(self) -> str | None:
        """Return why the run is to end; None within the limits."""
        if self.suspended_at is not None:
            return None
        if self.hours and time.monotonic() - self.began > 3600 * self.hours:
            return f"it ran for longer than its time limit of {self.hours:g} h"
        silent = time.time() - (self.workspace / ACTIVITY).stat().st_mtime
        if self.silent_minutes and silent > 60 * self.silent_minutes:
            return (
                f"its stage reported nothing for {self.silent_minutes:g} min (VISE_SILENT_MINUTES), "
                "and most likely hangs"
            )
        return None


def death(code: int) -> str:
    """Return a sentence for an exit code that the stage did not choose."""
    if code >= 0:
        return f"its process ended with exit code {code} without an error message"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "its process was killed (SIGKILL), most likely because memory ran out: use a smaller batch or image size"
    return f"its process was killed by {name}"


def kill(child: BaseProcess) -> None:
    """Kill the stage with all processes that it has started, by way of their guardian; wait for the end."""
    with suppress(ProcessLookupError):
        os.kill(int(child.pid or 0), KILL)
    child.join(GUARDIAN_SECONDS)
    child.kill()
    child.join()
