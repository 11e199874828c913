"""Stages for tests: one counts slowly, saves its state, and can be told to fail.

Worker processes know them by the entry points of ``stages-0.dist-info`` beside this file.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

from pydantic import Field

from vise_core.errors import BadInput, ClusterLost, Stopped
from vise_core.reporter import Reporter
from vise_core.specs.base import Result, Spec
from vise_core.specs.stage import InputRole, Stage

IDLE = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
time.sleep(600)
"""


class CountSpec(Spec):
    """Count to ``steps``."""

    steps: int = Field(20, ge=1)
    pause: float = 0.05
    each: int = Field(1, ge=1, description="Points of each curve in a step.")
    idle_processes: int = Field(0, ge=0, description="Processes that it starts, each with one of its own.")
    label: str = Field("", description="Stored after the number.")
    lines: bool = Field(
        False, description="Log a numbered line in each step, after each save and at the end."
    )
    loader_workers: int = Field(0, ge=0, le=1, description="Processes that count for this one.")
    end: Literal[
        "well", "bad input", "crash", "kill", "long name", "huge step", "disk full", "no cluster"
    ] = "well"


class CountResult(Result):
    """Artifact: ``counted``."""

    counted: int
    started_at_step: int

    def headline(self) -> dict[str, float]:
        return {"counted": self.counted}


def run(spec: CountSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> CountResult:
    state = workspace / "state"
    first = json.loads((state / "step.json").read_text()) if state.exists() else 0
    for _ in range(spec.idle_processes):
        subprocess.Popen([sys.executable, "-c", IDLE])
    reporter.log(f"counting from {first}")
    attempt = f"{os.getpid()}-{time.monotonic_ns()}"
    with _loader(first) if spec.loader_workers else nullcontext(itertools.count(first)) as numbers:
        _count(spec, itertools.islice(numbers, spec.steps - first), attempt, workspace, reporter)
    _end(spec, workspace, reporter)
    if spec.lines:
        reporter.log(f"end of {attempt}")
    (workspace / "counted.txt").write_text(f"{spec.steps}{spec.label}")
    reporter.artifact("counted", workspace / "counted.txt")
    return CountResult(counted=spec.steps, started_at_step=first)


def _loader(first: int) -> AbstractContextManager[Iterator[int]]:
    # Of tests/faults/injection, which only the processes of fault schedules know.
    from loader import counting

    return counting(first)


def _count(spec: CountSpec, steps: Iterable[int], attempt: str, workspace: Path, reporter: Reporter) -> None:
    state = workspace / "state"
    for number, step in enumerate(steps):
        time.sleep(spec.pause)
        for point in range(step * spec.each, (step + 1) * spec.each):
            reporter.metrics(point, {"count": float(point), "square": float(point * point)})
        if spec.lines:
            reporter.log(f"line {number} of {attempt}")
        reporter.progress(step + 1, spec.steps, "steps")
        stop = reporter.should_stop()
        if stop or step % 5 == 4:
            part = workspace / "state.part"
            part.mkdir(exist_ok=True)
            (part / "step.json").write_text(json.dumps(step + 1))
            if state.exists():
                (state / "step.json").unlink()
                state.rmdir()
            part.rename(state)
            reporter.checkpoint(state)
            if spec.lines:
                reporter.log(f"saved {step + 1}")
        if stop:
            raise Stopped(f"stopped at {step + 1}")


def _end(spec: CountSpec, workspace: Path, reporter: Reporter) -> None:
    if spec.end == "bad input":
        raise BadInput(f"{workspace / 'posts.csv'}: row 3: the field id is missing")
    if spec.end == "long name":
        reporter.metrics(0, {"x" * 9000: 1.0})
    if spec.end == "huge step":
        # Of a value that the database rejects the stage hears at a later call.
        reporter.metrics(2**70, {"count": 1.0})
    if spec.end == "no cluster":
        raise ClusterLost("the Dask scheduler tls://head:8786 is gone")
    if spec.end == "disk full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if spec.end == "crash":
        raise ZeroDivisionError("a bug")
    if spec.end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


COUNT = Stage(
    name="count",
    title="Count",
    help="Count slowly.",
    runner="stages:run",
    spec=CountSpec,
    result=CountResult,
    queue="cpu",
    inputs={"counted": InputRole(help="What was counted before.", artifact="counted", required=False)},
    outputs={"counted": "How far."},
)
