"""When a process or server that has ended is started again: after a pause that doubles while it keeps ending."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PAUSE = 30.0
WELL_SECONDS = 60.0
"""What has run for so long counts as well: should it end later, its first restart follows soon again."""


@dataclass
class Restarts:
    """The restarts of one process or server. Times are those of ``time.monotonic``."""

    failures: int = 0
    started_at: float = 0.0
    due_at: float | None = None
    """When to start it again; None while it runs."""

    def started(self, now: float) -> None:
        """Note that it has been started."""
        self.started_at, self.due_at = now, None

    def ended(self, now: float) -> bool:
        """Note that it does not run; return True the first time, and plan its next start."""
        if self.due_at is not None:
            return False
        if now - self.started_at >= WELL_SECONDS:
            self.failures = 0
        self.postpone(now)
        return True

    def postpone(self, now: float) -> None:
        """Plan the next start: it has ended, or could not be started."""
        self.due_at = now + min(LONGEST_PAUSE, 2.0 ** min(self.failures, 5))  # bounded: 2.0**1024 overflows
        self.failures += 1

    def due(self, now: float) -> bool:
        """Return whether to start it again now."""
        return self.due_at is not None and now >= self.due_at
