"""The states and kinds of runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class RunState(StrEnum):
    """The state of a run.

    waiting (for other runs), queued → running → succeeded | failed | cancelled. cancelling and pausing while the run
    saves its state; paused until it is resumed.
    """

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
        """Return whether the run is over."""
        return self in (RunState.succeeded, RunState.failed, RunState.cancelled)


RunKind = Literal["stage", "recipe", "sweep"]
