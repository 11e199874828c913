"""Helpers: further workers that share the work of a running run."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState

from . import outbox
from .lease import check_token

HELP_TASK = "worker.help_run"
"""Celery task by which a worker helps the worker that holds a run."""


def call_helpers(db: Session, run_id: UUID, token: int, most: int) -> None:
    """Invite up to ``most`` further workers to a held run.

    Raises StaleToken if the run is no longer held with ``token``.
    """
    check_token(db, run_id, token)
    queue = db.execute(select(Run.queue).where(Run.id == run_id)).scalar_one()
    outbox.add(db, [(HELP_TASK, run_id)] * most, queue)


def token_to_help(db: Session, run_id: UUID) -> int | None:
    """Return the token of a running run; None if it is not running, or if runs are queued that need the worker."""
    other = aliased(Run)
    waiting = select(other.id).where(other.queue == Run.queue, other.state == RunState.queued.value).exists()
    running = (Run.id == run_id, Run.state == RunState.running.value, ~waiting)
    return db.execute(select(Run.token).where(*running)).scalar_one_or_none()
