"""The state machine of runs. Every change is a compare-and-set with an event, in the caller's transaction.

waiting → queued → running → succeeded | failed | cancelled, with cancelling between running and cancelled,
pausing between running and paused. A paused run holds no worker; resumed, it is queued from its last checkpoint.
A claim raises the run's fencing token; whatever a worker writes carries it, and a stale one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, aliased

from backend.store.errors import Conflict, NotFound, StaleToken
from backend.store.metrics import summaries
from backend.store.registry import dataset_versions
from backend.store.registry import models as registry
from backend.store.tables import Outbox, Run, RunEvent
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import Progress
from vise_core.errors import ViseError
from vise_core.files.names import storable

HELD = (RunState.running, RunState.cancelling, RunState.pausing)
IDLE = (RunState.waiting, RunState.queued, RunState.paused)
"""States of a stage that no worker holds and that is not over."""
LIVE = (*IDLE, *HELD)
HELP_TASK = "worker.help_run"
"""Asks a worker to help the one that holds a run."""
CHANNEL = "vise_outbox"
CANCELLED = "cancelled on request"
PAUSED = "paused on request"


@dataclass(frozen=True)
class Claim:
    """What a worker holds while it runs a stage."""

    run_id: UUID
    stage: str
    spec: dict[str, Any]
    inputs: dict[str, Any]
    token: int
    attempt: int
    checkpoint: str | None
    synthetic: bool
    started_at: datetime


def change(
    db: Session,
    run_id: UUID,
    from_states: Iterable[RunState],
    to: RunState,
    detail: str = "",
    *,
    token: int | None = None,
    values: dict[str, Any] | None = None,
) -> Run | None:
    """Move the run if it is in one of the states (and the token still holds it); None where it is not."""
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
        _tell_relatives(db, run)
    elif to is RunState.paused and run.parent_id is not None:
        _settle_parent(db, run.parent_id)
    elif to is RunState.running and run.parent_id is not None:
        started = {"started_at": func.coalesce(Run.started_at, func.now())}
        change(db, run.parent_id, [RunState.queued, RunState.paused], RunState.running, values=started)
    return run


def announce(db: Session, run: Run) -> None:
    """Write the message that makes a worker take up the run, and wake the dispatcher at commit."""
    db.add(Outbox(task="worker.execute_run", argument=run.id, queue=run.queue))
    db.execute(text(f"NOTIFY {CHANNEL}"))


def call_helpers(db: Session, run_id: UUID, token: int, most: int) -> None:
    """Write the messages that bring up to so many other workers to a run that is held."""
    check_token(db, run_id, token)
    queue = db.execute(select(Run.queue).where(Run.id == run_id)).scalar_one()
    db.add_all(Outbox(task=HELP_TASK, argument=run_id, queue=queue) for _ in range(most))
    db.execute(text(f"NOTIFY {CHANNEL}"))


def to_help(db: Session, run_id: UUID) -> int | None:
    """The token of whoever runs it now; None where it is over or is to stop, or others wait for a worker."""
    other = aliased(Run)
    waiting = select(other.id).where(other.queue == Run.queue, other.state == RunState.queued.value).exists()
    running = (Run.id == run_id, Run.state == RunState.running.value, ~waiting)
    return db.execute(select(Run.token).where(*running)).scalar_one_or_none()


def queue(
    db: Session, run_id: UUID, from_states: Iterable[RunState], detail: str, values: dict[str, Any]
) -> Run | None:
    """Put the run in line for a worker."""
    cleared = {"worker": None, "lease_until": None, "queued_at": func.now(), "reason": None} | values
    run = change(db, run_id, from_states, RunState.queued, detail, values=cleared)
    if run is not None and run.kind == "stage":
        announce(db, run)
    return run


def claim(db: Session, run_id: UUID, worker: str, lease_seconds: float) -> Claim | None:
    """Take a queued run; None where another has it, or it is over: a message may come twice or late."""
    run = change(
        db,
        run_id,
        [RunState.queued],
        RunState.running,
        f"taken up by {worker}",
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
        checkpoint=run.checkpoint,
        synthetic=run.synthetic,
        started_at=run.started_at,
    )


def renew(db: Session, run_id: UUID, token: int, lease_seconds: float) -> RunState | None:
    """Keep the lease; says running, cancelling or pausing, or None where the run is another's now."""
    state = db.execute(
        update(Run)
        .where(Run.id == run_id, Run.token == token, Run.state.in_([s.value for s in HELD]))
        .values(lease_until=func.now() + timedelta(seconds=lease_seconds), heartbeat_at=func.now())
        .returning(Run.state)
    ).scalar_one_or_none()
    return None if state is None else RunState(state)


def check_token(db: Session, run_id: UUID, token: int) -> None:
    """Hold the run for the rest of the transaction. Raises StaleToken where it is another's now."""
    held = db.execute(
        select(Run.id)
        .where(Run.id == run_id, Run.token == token, Run.state.in_([s.value for s in HELD]))
        # Not a shared lock: two writers of one run that both held one would wait for each other to change it.
        .with_for_update(key_share=True)
    ).scalar_one_or_none()
    if held is None:
        raise StaleToken(f"run {run_id} is no longer held with token {token}")


def set_progress(db: Session, run_id: UUID, token: int, progress: Progress) -> None:
    done = db.execute(
        update(Run).where(Run.id == run_id, Run.token == token).values(progress=progress.model_dump())
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        raise StaleToken(f"run {run_id} is no longer held with token {token}")


def set_checkpoint(db: Session, run_id: UUID, token: int, key: str) -> str | None:
    """Name the state to resume from; returns the one before."""
    check_token(db, run_id, token)
    before = db.execute(select(Run.checkpoint).where(Run.id == run_id)).scalar_one()
    db.execute(update(Run).where(Run.id == run_id).values(checkpoint=key))
    return before


def finish(
    db: Session,
    run_id: UUID,
    token: int,
    state: RunState,
    *,
    result: dict[str, Any] | None = None,
    headline: dict[str, float] | None = None,
    synthetic: bool = False,
    reason: str | None = None,
    error: str | None = None,
) -> None:
    """End a run that is held. Raises StaleToken where it is another's now.

    Texts that PostgreSQL cannot hold (NUL, surrogates) are escaped, so that a strange file name never loses a result.
    """
    result, headline, reason, error = (storable(value) for value in (result, headline, reason, error))
    values: dict[str, Any] = {
        "finished_at": func.now(),
        "lease_until": None,
        "reason": reason,
        "error": error,
    }
    if state is RunState.succeeded:
        values |= {"result": result, "headline": headline or {}, "synthetic": Run.synthetic | synthetic}
    run = change(db, run_id, HELD, state, reason or "", token=token, values=values)
    if run is None:
        raise StaleToken(f"run {run_id} is no longer held with token {token}")
    if state is RunState.succeeded:
        dataset_versions.note_end(db, run, result)
        summaries.set_final(db, run_id, headline or {}, result)


def release(db: Session, run_id: UUID, token: int, detail: str) -> None:
    """Hand a run back unfinished, its state saved: a worker that shuts down loses nothing, and no attempt."""
    if queue_held(db, run_id, token, detail, {"attempt": Run.attempt - 1}) is None:
        raise StaleToken(f"run {run_id} is no longer held with token {token}")


def stop(db: Session, run_id: UUID, token: int, detail: str) -> Run | None:
    """What was asked to stop and has: from cancelling to cancelled, from pausing to paused; None from elsewhere."""
    cancelled = {"finished_at": func.now(), "lease_until": None, "reason": CANCELLED}
    paused = {"worker": None, "lease_until": None, "reason": PAUSED}
    return change(
        db, run_id, [RunState.cancelling], RunState.cancelled, detail, token=token, values=cancelled
    ) or change(db, run_id, [RunState.pausing], RunState.paused, detail, token=token, values=paused)


def queue_held(
    db: Session, run_id: UUID, token: int, detail: str, values: dict[str, Any] | None = None
) -> Run | None:
    """From running back to queued; what was asked to stop has stopped, since nobody runs it any more."""
    stopped = stop(db, run_id, token, detail)
    if stopped is not None:
        return stopped
    held = db.execute(select(Run.id).where(Run.id == run_id, Run.token == token)).scalar_one_or_none()
    # The token rises, so that whatever the former holder still sends is refused from here on.
    if held is None:
        return None
    raised = {"token": Run.token + 1, "reason": detail}
    return queue(db, run_id, [RunState.running], detail, raised | (values or {}))


def request_cancel(db: Session, run_id: UUID) -> Run:
    """Cancel a run and, for a parent, its children. Raises Conflict where it is over already."""
    run = db.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    if RunState(run.state).final:
        raise Conflict(f"the run has {run.state} already")
    _lock_children(db, run_id)
    # Held from here on: between two looks at its state a worker could take it up or give it back.
    db.refresh(run, with_for_update=True)
    for child in _children(db, run_id):
        if not RunState(child.state).final:
            request_cancel(db, child.id)
    if run.kind != "stage" and any(not RunState(c.state).final for c in _children(db, run_id)):
        change(db, run_id, (*IDLE, RunState.running, RunState.pausing), RunState.cancelling, CANCELLED)
    elif not change(
        db,
        run_id,
        IDLE if run.kind == "stage" else LIVE,
        RunState.cancelled,
        CANCELLED,
        values={"reason": CANCELLED, "finished_at": func.now()},
    ):
        change(db, run_id, [RunState.running, RunState.pausing], RunState.cancelling, CANCELLED)
    db.refresh(run)
    return run


def request_pause(db: Session, run_id: UUID) -> Run:
    """Let a run, and the children of a parent, save their state and rest until they are resumed.

    Raises Conflict where it is over, or on its way to an end.
    """
    run = db.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    _lock_children(db, run_id)
    db.refresh(run, with_for_update=True)
    if RunState(run.state) not in (RunState.waiting, RunState.queued, RunState.running):
        raise Conflict(f"the run is {run.state}; only one that waits or runs can be paused")
    # What waits is paused too: else it would begin as soon as a run that it reads from comes to its end.
    family = [run] if run.kind == "stage" else _children(db, run_id)
    if run.kind != "stage":
        change(db, run_id, (RunState.queued, RunState.running), RunState.pausing, PAUSED)
    for each in family:
        if not change(
            db,
            each.id,
            (RunState.waiting, RunState.queued),
            RunState.paused,
            PAUSED,
            values={"reason": PAUSED},
        ):
            change(db, each.id, [RunState.running], RunState.pausing, PAUSED)
    db.refresh(run)
    return run


def resume(db: Session, run_id: UUID) -> Run:
    """Put a paused run back in line, to go on from its last checkpoint; of a parent, its paused children."""
    run = db.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    family = run_id if run.kind != "stage" else run.parent_id
    again = [run]
    if family is not None:
        _lock_children(db, family)
        if family == run_id:
            again = [c for c in _children(db, family) if c.state == RunState.paused.value]
    db.refresh(run, with_for_update=True)
    if run.state == RunState.pausing.value:
        raise Conflict("the run is still saving its state; resume it once it is paused")
    if run.state != RunState.paused.value:
        raise Conflict(f"the run is {run.state}; only a paused run can be resumed")
    if family is not None:
        change(db, family, [RunState.paused], RunState.running, "resumed", values={"reason": None})
    _refuse_dead_inputs(db, again)
    for each in again:
        _hold_inputs(db, each)
        _wait_or_queue(db, each, [RunState.paused], "resumed", {"attempt": 0})
    db.refresh(run)
    return run


def retry(db: Session, run_id: UUID) -> Run:
    """Take a failed or cancelled run up again from its last checkpoint; of a parent, the children that ended so."""
    run = db.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    over = (RunState.failed, RunState.cancelled)
    if RunState(run.state) not in over:
        raise Conflict(f"the run is {run.state}; only a failed or cancelled run can be retried")
    fresh = {"attempt": 0, "finished_at": None, "reason": None, "error": None, "progress": None}
    reopened = {"finished_at": None, "reason": None}
    family = run_id if run.kind != "stage" else run.parent_id
    again = [run]
    if family is not None:
        _lock_children(db, family)
        children = _children(db, family)
        again = [c for c in children if RunState(c.state) in over]
        if family != run_id:
            again = _with_dependants(run, again)
        change(db, family, over, RunState.running, "retried", values=reopened)
    else:
        db.refresh(run, with_for_update=True)
    _refuse_dead_inputs(db, again)
    for each in again:
        _hold_inputs(db, each)
        _wait_or_queue(db, each, over, "retried", fresh)
    db.refresh(run)
    return run


def _with_dependants(run: Run, ended: Sequence[Run]) -> list[Run]:
    """The run, and those of its siblings that were cancelled because it, or one of these, did not succeed."""
    again = {run.id: run}
    for sibling in ended:  # In order of position: what a step reads from comes before it.
        if sibling.state == RunState.cancelled.value and again.keys() & set(sibling.depends_on):
            again[sibling.id] = sibling
    return list(again.values())


def _refuse_dead_inputs(db: Session, again: Sequence[Run]) -> None:
    """Raises Conflict where a run would wait for ever, for one that has ended without success."""
    ids = {run.id for run in again}
    needed = {source for run in again for source in run.depends_on} - ids
    dead = db.scalar(
        select(Run.name)
        .where(Run.id.in_(needed), Run.state.in_([RunState.failed.value, RunState.cancelled.value]))
        .limit(1)
    )
    if dead is not None:
        raise Conflict(f"it reads from {dead!r}, which did not succeed: retry that one first")


def _hold_inputs(db: Session, run: Run) -> None:
    """Lock what it reads from, so that none ends unseen between our look at it and our commit."""
    db.execute(select(Run.id).where(Run.id.in_(run.depends_on)).order_by(Run.id).with_for_update(read=True))


def start(db: Session, run: Run) -> None:
    """First state of a new run: queued, or waiting where a run that it reads from is not done."""
    _hold_inputs(db, run)
    _wait_or_queue(db, run, [RunState.waiting], "created", {})


def _wait_or_queue(
    db: Session, run: Run, from_states: Sequence[RunState], detail: str, values: dict[str, Any]
) -> None:
    open_inputs = db.scalars(
        select(Run.name).where(Run.id.in_(run.depends_on), Run.state != RunState.succeeded.value)
    ).all()
    if open_inputs:
        reason = f"waits for {', '.join(open_inputs)}"
        change(db, run.id, from_states, RunState.waiting, detail, values=values | {"reason": reason})
    else:
        queue(db, run.id, from_states, detail, values | {"reason": None})


def _tell_relatives(db: Session, run: Run) -> None:
    """What the end of a run means for those that wait for it, and for its parent."""
    waiting = db.scalars(
        select(Run)
        .where(
            Run.depends_on.contains([run.id]), Run.state.in_([RunState.waiting.value, RunState.paused.value])
        )
        .order_by(Run.id)
        .with_for_update()
    ).all()
    for dependant in waiting:
        if run.state == RunState.succeeded.value:
            _wait_or_queue(db, dependant, [RunState.waiting], f"{run.name} has succeeded", {})
        else:
            ended = "was cancelled" if run.state == RunState.cancelled.value else "has failed"
            reason = f"{run.name!r}, which it reads from, {ended}"
            change(
                db,
                dependant.id,
                [RunState.waiting, RunState.paused],
                RunState.cancelled,
                reason,
                values={"reason": reason, "finished_at": func.now()},
            )
    if run.parent_id is not None:
        _settle_parent(db, run.parent_id)


def _settle_parent(db: Session, parent_id: UUID) -> None:
    """A parent ends when its last child has; its lock makes one of two last children the last."""
    parent = db.execute(
        select(Run).where(Run.id == parent_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    children = _children(db, parent_id)
    states = [RunState(c.state) for c in children]
    done = sum(s is RunState.succeeded for s in states)
    parent.progress = Progress(done=done, total=len(states), unit="runs").model_dump()
    parent.synthetic = parent.synthetic or any(c.synthetic for c in children)
    if RunState(parent.state).final:
        return
    if not all(s.final for s in states):
        # Nothing moves any more before someone resumes what is paused.
        if RunState.paused in states and not any(s in HELD or s is RunState.queued for s in states):
            moving = (RunState.queued, RunState.running, RunState.pausing)
            change(db, parent_id, moving, RunState.paused, PAUSED, values={"reason": PAUSED})
        return
    values: dict[str, Any] = {"finished_at": func.now()}
    if all(s is RunState.succeeded for s in states):
        try:
            registry.register_best(db, parent, children)
        except ViseError as error:
            # Must not undo the end of the child that was the last one.
            reason = f"its steps succeeded, but no model could be registered: {error}"
            change(db, parent_id, LIVE, RunState.failed, reason, values=values | {"reason": reason})
            return
        change(db, parent_id, LIVE, RunState.succeeded, "", values=values)
        return
    failed = [c.step or c.name for c in children if c.state == RunState.failed.value]
    state = RunState.failed if failed else RunState.cancelled
    reason = f"failed: {', '.join(failed)}" if failed else "cancelled"
    change(db, parent_id, LIVE, state, reason, values=values | {"reason": reason})


def _lock_children(db: Session, parent_id: UUID) -> None:
    """Before many are changed: a worker that ends one of them holds it and then wants the parent."""
    db.execute(select(Run.id).where(Run.parent_id == parent_id).order_by(Run.id).with_for_update())


def _children(db: Session, parent_id: UUID) -> Sequence[Run]:
    statement = select(Run).where(Run.parent_id == parent_id).order_by(Run.position)
    return db.scalars(statement.execution_options(populate_existing=True)).all()
