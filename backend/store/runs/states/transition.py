"""The state machine of runs. Every change is a compare-and-set with an event, in the caller's transaction.

waiting → queued → running → succeeded | failed | cancelled, with cancelling between running and cancelled,
pausing between running and paused. A run that reaches a final state queues or cancels the runs that depend on it,
and its parent's state follows the states of the children.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from backend.store.registry import models as registry
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import Progress
from vise_core.errors import ViseError

from .outbox import enqueue

HELD = (RunState.running, RunState.cancelling, RunState.pausing)
"""States in which a worker holds the lease."""


IDLE = (RunState.waiting, RunState.queued, RunState.paused)
"""States of a stage that no worker holds and that is not over."""


LIVE = (*IDLE, *HELD)


CANCELLED = "cancelled on request"


PAUSED = "paused on request"


def change_state(
    db: Session,
    run_id: UUID,
    from_states: Iterable[RunState],
    to: RunState,
    detail: str = "",
    *,
    token: int | None = None,
    values: dict[str, Any] | None = None,
) -> Run | None:
    """Move a run to ``to`` and append an event; return the run, or None if it was not in ``from_states``.

    With ``token`` the run must also be held with this fencing token. ``values`` are further columns to set. A final
    state updates the dependants and the parent of the run.
    """
    condition = [Run.id == run_id, Run.state.in_([s.value for s in from_states])]
    if token is not None:
        condition.append(Run.token == token)
    before = db.execute(select(Run.state).where(*condition).with_for_update()).scalar_one_or_none()
    if before is None:
        return None
    run = db.execute(
        update(Run).where(Run.id == run_id).values(state=to.value, **(values or {})).returning(Run)
    ).scalar_one()
    db.refresh(run)
    db.add(RunEvent(run_id=run_id, from_state=before, to_state=to.value, detail=detail))
    if to.final:
        _update_relatives(db, run)
    elif to is RunState.paused and run.parent_id is not None:
        update_parent(db, run.parent_id)
    elif to is RunState.running and run.parent_id is not None:
        started = {"started_at": func.coalesce(Run.started_at, func.now())}
        change_state(db, run.parent_id, [RunState.queued, RunState.paused], RunState.running, values=started)
    return run


def queue_run(
    db: Session,
    run_id: UUID,
    from_states: Iterable[RunState],
    detail: str,
    values: dict[str, Any],
    *,
    delay: float = 0,
) -> Run | None:
    """Put a run into its queue; a run of a stage gets a message in the outbox, due after ``delay`` seconds.

    None if it was in no such state.
    """
    cleared = {"worker": None, "lease_until": None, "queued_at": func.now(), "reason": None} | values
    run = change_state(db, run_id, from_states, RunState.queued, detail, values=cleared)
    if run is not None and run.kind == "stage":
        enqueue(db, run, delay)
    return run


def wait_or_queue(
    db: Session, run: Run, from_states: Sequence[RunState], detail: str, values: dict[str, Any]
) -> None:
    """Queue a run whose inputs are all there; else let it wait, with the names of the open inputs as reason."""
    open_inputs = db.scalars(
        select(Run.name).where(Run.id.in_(run.depends_on), Run.state != RunState.succeeded.value)
    ).all()
    if open_inputs:
        reason = f"waits for {', '.join(open_inputs)}"
        change_state(db, run.id, from_states, RunState.waiting, detail, values=values | {"reason": reason})
    else:
        queue_run(db, run.id, from_states, detail, values | {"reason": None})


def lock_inputs(db: Session, run: Run) -> None:
    """Lock the runs in ``depends_on``, so that none ends between reading their states and the commit."""
    db.execute(select(Run.id).where(Run.id.in_(run.depends_on)).order_by(Run.id).with_for_update(read=True))


def move(
    db: Session,
    condition: ColumnElement[bool],
    from_states: Iterable[RunState],
    to: RunState,
    detail: str,
    values: dict[str, Any] | None = None,
) -> dict[UUID, str]:
    """Move all runs that meet a condition to ``to``, with one statement for each table; return {id: name}.

    For states that change nothing else of these runs; their dependants and parents are the caller's.
    """
    chosen = select(Run.id, Run.name, Run.state, Run.parent_id)
    chosen = chosen.where(condition, Run.state.in_([state.value for state in from_states]))
    rows = db.execute(chosen.order_by(Run.id).with_for_update()).all()
    if rows:
        ids = [row.id for row in rows]
        db.execute(update(Run).where(Run.id.in_(ids)).values(state=to.value, **(values or {})))
        common = {"to_state": to.value, "detail": detail}
        steps = [{"run_id": row.id, "from_state": row.state, **common} for row in rows if row.parent_id]
        if steps:
            db.execute(insert(RunEvent), steps)
        # The audit log sees objects; it has no entries of steps.
        top = [row for row in rows if row.parent_id is None]
        db.add_all(RunEvent(run_id=row.id, from_state=row.state, **common) for row in top)
    return {row.id: row.name for row in rows}


def cancel_dependants(db: Session, ended: Mapping[UUID, str], how: str) -> set[UUID]:
    """Cancel what waits for these runs (id → name), and what waits for that; return the parents of all of it."""
    parents: set[UUID] = set()
    while ended:
        reads = Run.depends_on.overlap(list(ended))
        idle = Run.state.in_([RunState.waiting.value, RunState.paused.value])
        rows = db.execute(
            select(Run.id, Run.parent_id, Run.depends_on)
            .where(reads, idle)
            .order_by(Run.id)
            .with_for_update()
        ).all()
        parents |= {row.parent_id for row in rows if row.parent_id is not None}
        by_reason: dict[str, list[UUID]] = {}
        for row in rows:
            name = next(ended[source] for source in row.depends_on if source in ended)
            by_reason.setdefault(f"{name!r}, which it reads from, {how}", []).append(row.id)
        cancelled: dict[UUID, str] = {}
        for reason, ids in by_reason.items():
            over = {"reason": reason, "finished_at": func.now()}
            from_states = (RunState.waiting, RunState.paused)
            cancelled |= move(db, Run.id.in_(ids), from_states, RunState.cancelled, reason, over)
        ended, how = cancelled, "was cancelled"
    return parents


def _update_relatives(db: Session, run: Run) -> None:
    """Queue or cancel the dependants of a run that reached a final state, and update the parents."""
    parents = {run.parent_id} if run.parent_id is not None else set()
    if run.state == RunState.succeeded.value:
        waiting = (Run.depends_on.contains([run.id]), Run.state == RunState.waiting.value)
        for dependant in db.scalars(select(Run).where(*waiting).order_by(Run.id).with_for_update()).all():
            wait_or_queue(db, dependant, [RunState.waiting], f"{run.name} has succeeded", {})
    else:
        how = "was cancelled" if run.state == RunState.cancelled.value else "has failed"
        parents |= cancel_dependants(db, {run.id: run.name}, how)
    for parent_id in sorted(parents):
        update_parent(db, parent_id)


def update_parent(db: Session, parent_id: UUID) -> None:
    """Update a parent's progress and, once all children are final, its state.

    The parent's row is locked: of two children that end at once, the second one sees the first.
    """
    parent = db.execute(
        select(Run).where(Run.id == parent_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    # Counted by the database: a parent may have a thousand children, and each of them ends once.
    counts = {
        RunState(state): (number, synthetic)
        for state, number, synthetic in db.execute(
            select(Run.state, func.count(), func.bool_or(Run.synthetic))
            .where(Run.parent_id == parent_id)
            .group_by(Run.state)
        )
    }
    done, _ = counts.get(RunState.succeeded, (0, False))
    total = sum(number for number, _ in counts.values())
    parent.progress = Progress(done=done, total=total, unit="runs").model_dump()
    parent.synthetic = parent.synthetic or any(synthetic for _, synthetic in counts.values())
    if RunState(parent.state).final:
        return
    if not all(state.final for state in counts):
        # No child can go on before a paused one is resumed.
        if RunState.paused in counts and counts.keys().isdisjoint((*HELD, RunState.queued)):
            moving = (RunState.queued, RunState.running, RunState.pausing)
            change_state(db, parent_id, moving, RunState.paused, PAUSED, values={"reason": PAUSED})
        return
    values: dict[str, Any] = {"finished_at": func.now()}
    if counts.keys() <= {RunState.succeeded}:
        try:
            registry.register_best(db, parent, children_of(db, parent_id))
        except ViseError as error:
            # Must not roll back the end of the last child.
            reason = f"its steps succeeded, but no model could be registered: {error}"
            change_state(db, parent_id, LIVE, RunState.failed, reason, values=values | {"reason": reason})
            return
        change_state(db, parent_id, LIVE, RunState.succeeded, "", values=values)
        return
    failed = db.scalars(
        select(func.coalesce(Run.step, Run.name))
        .where(Run.parent_id == parent_id, Run.state == RunState.failed.value)
        .order_by(Run.position)
    ).all()
    state = RunState.failed if failed else RunState.cancelled
    reason = f"failed: {', '.join(failed)}" if failed else "cancelled"
    change_state(db, parent_id, LIVE, state, reason, values=values | {"reason": reason})


def lock_children(db: Session, parent_id: UUID) -> None:
    """Lock all children in the order of their ids, before several are changed.

    A worker that ends a child locks the child first and then the parent; this order avoids a deadlock.
    """
    db.execute(select(Run.id).where(Run.parent_id == parent_id).order_by(Run.id).with_for_update())


def states_of(db: Session, parent_id: UUID) -> set[RunState]:
    """Return the states that the children of a recipe or sweep have."""
    states = db.scalars(select(Run.state).where(Run.parent_id == parent_id).distinct())
    return {RunState(state) for state in states}


def children_of(db: Session, parent_id: UUID) -> Sequence[Run]:
    """Return the children of a recipe or sweep in order of position, read again from the database."""
    statement = select(Run).where(Run.parent_id == parent_id).order_by(Run.position)
    return db.scalars(statement.execution_options(populate_existing=True)).all()
