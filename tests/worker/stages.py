"""A stage for tests: counts slowly, saves its state, and can be told to fail. Registered by VISE_STAGE_MODULES."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from vise_core.errors import BadInput, Stopped
from vise_core.reporter import Reporter
from vise_core.specs.base import Result, Spec
from vise_core.specs.stages import STAGES, InputRole, StageEntry


class CountSpec(Spec):
    """Count to ``steps``."""

    steps: int = Field(20, ge=1)
    pause: float = 0.05
    end: Literal["well", "bad input", "crash", "kill"] = "well"


class CountResult(Result):
    """Artifact: ``counted``."""

    counted: int
    started_at_step: int

    def headline(self) -> dict[str, float]:
        return {"counted": self.counted}


def run(spec: CountSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> CountResult:
    state = workspace / "state"
    first = json.loads((state / "step.json").read_text()) if state.exists() else 0
    reporter.log(f"counting from {first}")
    for step in range(first, spec.steps):
        time.sleep(spec.pause)
        reporter.metrics(step, {"count": float(step), "square": float(step * step)})
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
        if stop:
            raise Stopped(f"stopped at {step + 1}")
    if spec.end == "bad input":
        raise BadInput("row 3: the field id is missing")
    if spec.end == "crash":
        raise ZeroDivisionError("a bug")
    if spec.end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    (workspace / "counted.txt").write_text(str(spec.steps))
    reporter.artifact("counted", workspace / "counted.txt")
    return CountResult(counted=spec.steps, started_at_step=first)


STAGES["count"] = StageEntry(
    title="Count",
    help="Count slowly.",
    runner="stages:run",
    spec=CountSpec,
    result=CountResult,
    queue="cpu",
    inputs={"counted": InputRole(help="What was counted before.", artifact="counted", required=False)},
    outputs={"counted": "How far."},
)
