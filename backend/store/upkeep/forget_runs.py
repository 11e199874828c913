"""Runs that read posts which are being removed: those in the way, those to mark, and those that came in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.store.errors import Conflict
from backend.store.runs.states.transition import LIVE, change_state
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState

_UNFINISHED = Run.state.in_([state.value for state in LIVE])


def reading(db: Session, sources: Iterable[UUID], kind: str) -> set[UUID]:
    """Return the runs whose inputs name one of these data sets or uploads; ``kind``: ``dataset`` or ``upload``."""
    names = {str(source) for source in sources}
    if not names:
        return set()
    rows = db.execute(select(Run.id, Run.inputs)).all()
    return {row.id for row in rows if names & {str(ref.get(kind)) for ref in row.inputs.values()}}


def with_derived(db: Session, sources: Collection[UUID]) -> set[UUID]:
    """Return these runs, and all that read from them, directly or not."""
    rows = db.execute(select(Run.id, Run.depends_on)).all() if sources else []
    reached = set(sources)
    while new := {row.id for row in rows if reached & set(row.depends_on)} - reached:
        reached |= new
    return reached


def require_finished(db: Session, runs: Collection[UUID]) -> None:
    """Raise Conflict if one of these runs is unfinished."""
    name = db.scalar(select(Run.name).where(Run.id.in_(runs), _UNFINISHED).limit(1))
    if name is not None:
        raise Conflict(
            f"the unfinished run {name!r} reads or holds the posts: cancel it or wait until it ends"
        )


def cancel_unfinished(db: Session, runs: Collection[UUID]) -> None:
    """Cancel those of these runs that are unfinished, of a restored database, for which no worker runs."""
    reason = "cancelled, since posts that it reads or holds were removed"
    ended = {"reason": reason, "finished_at": func.now(), "lease_until": None}
    stages = select(Run.id).where(Run.id.in_(runs), _UNFINISHED, Run.kind == "stage").order_by(Run.id)
    for run_id in db.scalars(stages).all():
        change_state(db, run_id, LIVE, RunState.cancelled, reason, values=ended)


def late_readers(
    db: Session, sources: Collection[UUID], since: datetime, before: datetime
) -> list[tuple[UUID, str]]:
    """Return (id, name) of the runs that may have read the posts while they were being removed.

    They are derived from ``sources``, started ``before`` the posts were gone, and are unfinished, or ended after
    ``since``, when the removal was applied.
    """
    ended: ColumnElement[bool] = or_(_UNFINISHED, Run.finished_at >= since)
    derived = with_derived(db, sources)
    rows = select(Run.id, Run.name).where(Run.id.in_(derived), ended, Run.started_at < before)
    return [(row.id, row.name) for row in db.execute(rows.order_by(Run.id))]
