"""The lease of a run: a worker claims the run, renews the lease and writes with the fencing token.

A claim raises the token; every write of a worker carries it, and a stale token is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.store.errors import StaleToken
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import Progress

from .transition import HELD, change_state


@dataclass(frozen=True)
class Claim:
    """A claimed run: all that a worker needs to run the stage. ``checkpoints``: states, newest first."""

    run_id: UUID
    stage: str
    spec: dict[str, Any]
    inputs: dict[str, Any]
    token: int
    attempt: int
    checkpoints: tuple[str, ...]
    synthetic: bool
    started_at: datetime
    max_hours: float | None


def claim_run(
    db: Session, run_id: UUID, worker: str, lease_seconds: float, *, again: bool = False
) -> Claim | None:
    """Claim a queued run for a worker; None if it is not queued.

    Messages may arrive twice or late, so None is an ordinary outcome. ``again``: an earlier attempt of this worker may
    have been committed without an acknowledgement; then return that claim.
    """
    run = change_state(
        db,
        run_id,
        [RunState.queued],
        RunState.running,
        f"claimed by {worker}",
        values={
            "worker": worker,
            "token": Run.token + 1,
            "attempt": Run.attempt + 1,
            "lease_until": func.now() + timedelta(seconds=lease_seconds),
            "heartbeat_at": func.now(),
            "started_at": func.coalesce(Run.started_at, func.now()),
            "reason": None,
            "error": None,
        },
    )
    if run is None and again:
        mine = (Run.id == run_id, Run.worker == worker, Run.state == RunState.running.value)
        run = db.scalar(select(Run).where(*mine))
    if run is None:
        return None
    assert run.started_at is not None
    return Claim(
        run_id=run.id,
        stage=run.stage or "",
        spec=run.spec,
        inputs=run.inputs,
        token=run.token,
        attempt=run.attempt,
        checkpoints=(run.checkpoint, *run.earlier_checkpoints) if run.checkpoint else (),
        synthetic=run.synthetic,
        started_at=run.started_at,
        max_hours=run.max_hours,
    )


def renew_lease(db: Session, run_id: UUID, token: int, lease_seconds: float) -> RunState | None:
    """Extend the lease; return the state (running, cancelling or pausing), or None if the lease is lost."""
    state = db.execute(
        update(Run)
        .where(Run.id == run_id, Run.token == token, Run.state.in_([s.value for s in HELD]))
        .values(lease_until=func.now() + timedelta(seconds=lease_seconds), heartbeat_at=func.now())
        .returning(Run.state)
    ).scalar_one_or_none()
    return None if state is None else RunState(state)


def check_token(db: Session, run_id: UUID, token: int) -> None:
    """Lock a held run for the rest of the transaction. Raises StaleToken if the lease is lost."""
    held = db.execute(
        select(Run.id)
        .where(Run.id == run_id, Run.token == token, Run.state.in_([s.value for s in HELD]))
        # Not a shared lock: two writers that both held it would deadlock as soon as both update the row.
        .with_for_update(key_share=True)
    ).scalar_one_or_none()
    if held is None:
        raise StaleToken.of(run_id, token)


def set_progress(db: Session, run_id: UUID, token: int, progress: Progress) -> None:
    """Store how far a held run has come. Raises StaleToken if the run is no longer held with ``token``."""
    updated = db.execute(
        update(Run).where(Run.id == run_id, Run.token == token).values(progress=progress.model_dump())
    )
    if updated.rowcount == 0:  # type: ignore[attr-defined]
        raise StaleToken.of(run_id, token)


def set_checkpoint(db: Session, run_id: UUID, token: int, key: str, keep: int = 1) -> list[str]:
    """Store the key of the state to resume from, beside those before it, ``keep`` in all.

    Returns the keys that are no longer named. Raises StaleToken if the run is no longer held with ``token``.
    """
    check_token(db, run_id, token)
    names = list(dict.fromkeys([key, *_checkpoints(db, run_id)]))
    _name_checkpoints(db, run_id, names[:keep])
    return names[keep:]


def drop_checkpoints(db: Session, run_id: UUID, token: int, keys: Collection[str]) -> None:
    """Have a held run no longer name states that are damaged or gone.

    Raises StaleToken if the run is no longer held with ``token``.
    """
    check_token(db, run_id, token)
    _name_checkpoints(db, run_id, [name for name in _checkpoints(db, run_id) if name not in keys])


def _checkpoints(db: Session, run_id: UUID) -> list[str]:
    """Return the keys of the states that a run names, newest first."""
    newest, earlier = db.execute(
        select(Run.checkpoint, Run.earlier_checkpoints).where(Run.id == run_id)
    ).one()
    return [name for name in (newest, *earlier) if name]


def _name_checkpoints(db: Session, run_id: UUID, names: list[str]) -> None:
    """Have a run name these states, newest first."""
    values = {"checkpoint": names[0] if names else None, "earlier_checkpoints": names[1:]}
    db.execute(update(Run).where(Run.id == run_id).values(**values))
