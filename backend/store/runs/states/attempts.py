"""What becomes of a run whose attempt has failed through no fault of its stage: by the kind of failure it is queued
again, after a longer pause each time, or fails."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from vise_client.schemas.run_states import RunState

from .finish import finish_run, requeue_run

LONGEST_PAUSE = 600.0


class Failure(StrEnum):
    """Why an attempt failed. A stage that fails by an error of its own is not tried again."""

    lost = "lost"
    """Its worker, its host or its process is gone."""
    memory = "memory"
    """Its process was killed, most likely because memory ran out."""
    disk = "disk"
    """The disk of its worker is full."""


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts by kind of failure, and the pause in seconds before the second attempt, which doubles each time."""

    lost: int
    memory: int
    disk: int
    seconds: float

    def pause(self, failure: Failure, attempt: int) -> float | None:
        """Return the seconds until the next attempt after this one; None if it was the last.

        The first time that a worker is lost, another continues at once.
        """
        if attempt >= getattr(self, failure.value):
            return None
        doublings = attempt - 2 if failure is Failure.lost else attempt - 1
        return 0.0 if doublings < 0 else float(min(LONGEST_PAUSE, self.seconds * 2 ** min(doublings, 20)))


def retry_or_fail(
    db: Session,
    run_id: UUID,
    token: int,
    attempt: int,
    failure: Failure,
    detail: str,
    policy: RetryPolicy,
    error: str | None = None,
) -> bool:
    """Queue a held run again, or fail it after its last attempt, with ``error``; return whether it is queued.

    Raises StaleToken if the run is to fail and is no longer held with ``token``.
    """
    pause = policy.pause(failure, attempt)
    if pause is None:
        many = f"failed after {attempt} attempts: " if attempt > 1 else ""
        finish_run(db, run_id, token, RunState.failed, reason=f"{many}{detail}", error=error)
        return False
    later = f"; attempt {attempt + 1} follows in {pause:.0f} s" if pause >= 1 else ""
    requeue_run(db, run_id, token, f"{detail}{later}", delay=pause)
    return True
