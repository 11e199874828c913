"""The states and kinds of runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class RunState(StrEnum):
    """waiting (on other runs), queued → running → succeeded | failed | cancelled; on the way to rest, cancelling
    and pausing; paused, until someone resumes it."""

    waiting = "waiting"
    queued = "queued"
    running = "running"
    cancelling = "cancelling"
    pausing = "pausing"
    paused = "paused"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def final(self) -> bool:
        return self in (RunState.succeeded, RunState.failed, RunState.cancelled)


RunKind = Literal["stage", "recipe", "sweep"]
