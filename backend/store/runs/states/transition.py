"""The state machine of runs. Every change is a compare-and-set with an event, in the caller's transaction.

waiting → queued → running → succeeded | failed | cancelled, with cancelling between running and cancelled,
pausing between running and paused. A run that reaches a final state queues or cancels the runs that depend on it,
and its parent's state follows the states of the children.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Text, Uuid, cast, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import Session

from backend.store.registry import models as registry
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import Progress
from vise_core.errors import ViseError

from . import outbox

HELD = (RunState.running, RunState.cancelling, RunState.pausing)
"""States in which a worker holds the lease."""


IDLE = (RunState.waiting, RunState.queued, RunState.paused)
"""States of a stage that no worker holds and that is not over."""


LIVE = (*IDLE, *HELD)


CANCELLED = "cancelled on request"


PAUSED = "paused on request"


class Dependant(Protocol):
    """A run, or a row of it: its id, its stage, and the ids of the runs that it reads from."""

    @property
    def id(self) -> UUID: ...

    @property
    def stage(self) -> str | None: ...

    @property
    def depends_on(self) -> Sequence[UUID]: ...


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
    run = change_state(db, run_id, from_states, RunState.queued, detail, values=_queued(values))
    if run is not None and run.kind == "stage":
        outbox.enqueue(db, run, delay)
    return run


def _queued(values: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that are set when a run is queued, with those of ``values``."""
    return {"worker": None, "lease_until": None, "queued_at": func.now(), "reason": None} | values


def wait_or_queue(
    db: Session,
    runs: Sequence[Dependant],
    from_states: Sequence[RunState],
    detail: str,
    values: dict[str, Any],
) -> None:
    """Queue the runs whose inputs are all there; let the others wait, with the names of the open inputs as reason."""
    needed = {source for run in runs for source in run.depends_on}
    named = select(Run.id, Run.name).where(Run.id.in_(needed), Run.state != RunState.succeeded.value)
    names = {row.id: row.name for row in db.execute(named)}
    open_inputs = {run.id: [names[source] for source in run.depends_on if source in names] for run in runs}
    reasons = {id_: f"waits for {', '.join(of)}" for id_, of in open_inputs.items() if of}
    if reasons:
        move(db, Run.id.in_(reasons), from_states, RunState.waiting, detail, values, reasons)
    ready = [id_ for id_, of in open_inputs.items() if not of]
    moved = (
        move(db, Run.id.in_(ready), from_states, RunState.queued, detail, _queued(values)) if ready else {}
    )
    queued = select(Run.id, Run.queue).where(Run.id.in_(moved), Run.kind == "stage").order_by(Run.id)
    by_queue: dict[str, list[UUID]] = {}
    for row in db.execute(queued) if moved else ():
        by_queue.setdefault(row.queue, []).append(row.id)
    for queue, ids in by_queue.items():
        outbox.add(db, [(outbox.RUN_TASK, id_) for id_ in ids], queue)


def lock_inputs(db: Session, runs: Iterable[Dependant]) -> None:
    """Lock the runs that these read from, so that none ends between reading their states and the commit."""
    needed = {source for run in runs for source in run.depends_on}
    db.execute(select(Run.id).where(Run.id.in_(needed)).order_by(Run.id).with_for_update(read=True))


def move(
    db: Session,
    condition: ColumnElement[bool],
    from_states: Iterable[RunState],
    to: RunState,
    detail: str,
    values: dict[str, Any] | None = None,
    reasons: Mapping[UUID, str] | None = None,
) -> dict[UUID, str]:
    """Move all runs that meet a condition to ``to``, with one statement for each table; return {id: name}.

    ``reasons`` are those of each run, by id; they are also the details of the events unless there is a ``detail``. For
    states that change nothing else of these runs; their dependants and parents are the caller's.
    """
    chosen = select(Run.id, Run.name, Run.state, Run.parent_id)
    chosen = chosen.where(condition, Run.state.in_([state.value for state in from_states]))
    rows = db.execute(chosen.order_by(Run.id).with_for_update()).all()
    if rows:
        ids = [row.id for row in rows]
        changed = update(Run).where(Run.id.in_(ids)).values(state=to.value, **(values or {}))
        if reasons is not None:
            own = [reasons[id_] for id_ in ids]
            each = func.unnest(cast(ids, ARRAY(Uuid)), cast(own, ARRAY(Text)))
            table = each.table_valued("id", "reason", name="reasons").render_derived()
            changed = changed.where(Run.id == table.c.id).values(reason=table.c.reason)
        db.execute(changed)
        events = [
            {
                "run_id": row.id,
                "from_state": row.state,
                "to_state": to.value,
                "detail": detail or (reasons or {}).get(row.id, ""),
            }
            for row in rows
        ]
        steps = [step for step, row in zip(events, rows, strict=True) if row.parent_id]
        if steps:
            db.execute(insert(RunEvent), steps)
        # The audit log sees objects; it has no entries of steps.
        db.add_all(RunEvent(**top) for top, row in zip(events, rows, strict=True) if row.parent_id is None)
    return {row.id: row.name for row in rows}


def cancel_dependants(db: Session, ended: Mapping[UUID, str], how: str) -> set[UUID]:
    """Cancel what waits for these runs (id → name), and what waits for that; return the parents of all of it."""
    parents: set[UUID] = set()
    names, why = dict(ended), dict.fromkeys(ended, how)
    while ended:
        rows = _idle_below(db, ended)
        reasons: dict[UUID, str] = {}
        left = rows
        # In order of id a run comes after those that it reads from, unless the database's clock has been set back.
        while ready := [row for row in left if not names.keys().isdisjoint(row.depends_on)]:
            for row in ready:
                source = next(source for source in row.depends_on if source in names)
                reasons[row.id] = f"{names[source]!r}, which it reads from, {why[source]}"
                names[row.id], why[row.id] = row.name, "was cancelled"
            left = [row for row in left if row.id not in reasons]
        over = {"finished_at": func.now()}
        idle = (RunState.waiting, RunState.paused)
        # Again below these: one may have been read by a run that was committed while this waited for its lock.
        ended = move(db, Run.id.in_(reasons), idle, RunState.cancelled, "", over, reasons) if reasons else {}
        parents |= {row.parent_id for row in rows if row.id in ended and row.parent_id is not None}
    return parents


def _idle_below(db: Session, ended: Iterable[UUID]) -> Sequence[Any]:
    """Lock what waits, or is paused, and reads from these runs, directly or by way of others; return it by id.

    With one statement: a chain of a thousand steps has as many levels.
    """
    idle = Run.state.in_([RunState.waiting.value, RunState.paused.value])
    below = select(Run.id).where(Run.depends_on.overlap(list(ended)), idle).cte("below", recursive=True)
    reads = Run.depends_on.overlap(array([below.c.id], type_=Uuid))
    below = below.union(select(Run.id).join(below, reads).where(idle))
    found = select(Run.id, Run.name, Run.parent_id, Run.depends_on)
    found = found.where(Run.id.in_(select(below.c.id)), idle).order_by(Run.id)
    return db.execute(found.with_for_update()).all()


def _update_relatives(db: Session, run: Run) -> None:
    """Queue or cancel the dependants of a run that reached a final state, and update the parents."""
    parents = {run.parent_id} if run.parent_id is not None else set()
    if run.state == RunState.succeeded.value:
        waiting = (Run.depends_on.contains([run.id]), Run.state == RunState.waiting.value)
        reading = select(Run.id, Run.stage, Run.depends_on).where(*waiting).order_by(Run.id).with_for_update()
        dependants = db.execute(reading).all()
        if dependants:
            wait_or_queue(db, dependants, [RunState.waiting], f"{run.name} has succeeded", {})
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
