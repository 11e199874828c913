"""The status of runs (stalled, lost, no worker, …): what lists, pages and scripts show besides the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.store.runs.states.transition import HELD, LIVE
from backend.store.runs.tables import Run, Worker
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunRef, RunStatus

from .workers import ALIVE

TRACEBACK = 1500
"""Characters of the end of a traceback that lists carry."""


@dataclass(frozen=True)
class Surroundings:
    """Facts besides its row that the status of a run depends on."""

    now: datetime
    workers: Mapping[str, tuple[frozenset[str], bool]]
    """Name of each worker with a recent heartbeat → (queues, whether it is busy)."""
    names: Mapping[UUID, tuple[str, str]] = field(default_factory=dict)
    """Id of a run that another waits for → (name, state)."""
    errors: Mapping[UUID, str] = field(default_factory=dict)
    children: Mapping[UUID, Mapping[str, int]] = field(default_factory=dict)
    """Parent → {state or stalled: how many}."""


def statuses(db: Session, runs: Sequence[Run]) -> dict[UUID, RunStatus]:
    """Return the status of each run, with a constant number of queries."""
    if not runs:
        return {}
    live = [run for run in runs if not RunState(run.state).final]
    parents = [run.id for run in runs if run.kind != "stage"]
    # Leases expire by the database's clock; final runs need no query for it.
    now = (db.scalar(select(func.now())) if live or parents else None) or datetime.now(UTC)
    around = Surroundings(
        now=now,
        workers=_workers(db, now) if live else {},
        names=_names(db, [run for run in live if run.state == RunState.waiting.value]),
        errors=_errors(db, [run.id for run in runs if run.state == RunState.failed.value]),
        children=_children(db, parents, now),
    )
    return {run.id: status(run, around) for run in runs}


def status(run: Run, around: Surroundings) -> RunStatus:
    """Return the status of one run in its surroundings."""
    state = RunState(run.state)
    silent = (around.now - run.heartbeat_at).total_seconds() if run.heartbeat_at else None
    if run.kind != "stage":
        return _parent(run, around.children.get(run.id, {}))
    if state is RunState.waiting:
        refs = [
            RunRef(id=id_, name=around.names[id_][0], state=RunState(around.names[id_][1]))
            for id_ in run.depends_on
            if id_ in around.names
        ]
        names = ", ".join(f"{ref.name} ({ref.state})" for ref in refs)
        return RunStatus(label="waiting", sentence=f"waits for {names}" if refs else "", waits_for=refs)
    if state is RunState.queued:
        return _queued(run, around)
    if state in HELD:
        return _held(run, around, silent)
    if state is RunState.paused:
        return RunStatus(
            label="paused", sentence="occupies no worker; continues from its last checkpoint when resumed"
        )
    sentence = ""
    if run.started_at and run.finished_at:
        sentence = f"took {span((run.finished_at - run.started_at).total_seconds())}"
    if run.reason and run.reason not in sentence:
        sentence = f"{sentence}; {run.reason}" if sentence else run.reason
    return RunStatus(label=state.value, sentence=sentence, traceback=around.errors.get(run.id))


def span(seconds: float) -> str:
    """Return a duration as text: 8 s, 3 min 5 s, 2 h 4 min, 3 d 2 h."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _queued(run: Run, around: Surroundings) -> RunStatus:
    since = span((around.now - (run.queued_at or run.created_at)).total_seconds())
    reason = f"; {run.reason}" if run.reason else ""
    serving = [busy for queues, busy in around.workers.values() if run.queue in queues]
    if not serving:
        sentence = (
            f"queued for {since}, but no worker serves the queue {run.queue}: "
            f"start one with vise worker --queues {run.queue}{reason}"
        )
        return RunStatus(label="no worker", sentence=sentence)
    busy = (len(serving) == 1 and "its worker is busy") or f"its {len(serving)} workers are busy"
    load = f", {busy}" if all(serving) else ""
    return RunStatus(label="queued", sentence=f"in the queue {run.queue} for {since}{load}{reason}")


def _held(run: Run, around: Surroundings, silent: float | None) -> RunStatus:
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    if run.lease_until is None or run.lease_until >= around.now:
        return RunStatus(
            label=RunState(run.state).value,
            sentence=f"on {run.worker}{attempt}",
            heartbeat_seconds=silent,
        )
    heartbeat = f"last heartbeat {span(silent)} ago" if silent is not None else "no heartbeat yet"
    if run.worker in around.workers:
        sentence = f"{run.worker} is running but does not renew its lease on this run, {heartbeat}{attempt}"
        return RunStatus(label="stalled", sentence=sentence, heartbeat_seconds=silent)
    sentence = (
        f"{run.worker} is gone, {heartbeat}{attempt}; another worker will continue from the last checkpoint"
    )
    return RunStatus(label="lost", sentence=sentence, heartbeat_seconds=silent)


def _parent(run: Run, counts: Mapping[str, int]) -> RunStatus:
    total = sum(n for state, n in counts.items() if state != "stalled")
    done = counts.get("succeeded", 0)
    parts = [f"{done} of {total} done"] if total else []
    parts += [f"{counts[s]} {s}" for s in ("running", "paused", "failed", "cancelled") if counts.get(s)]
    state = RunState(run.state)
    if counts.get("stalled"):
        parts.append(f"{counts['stalled']} stalled")
    if state.final and run.started_at and run.finished_at:
        parts.append(f"took {span((run.finished_at - run.started_at).total_seconds())}")
    # The reason names the failed steps.
    if run.reason and state is RunState.failed:
        parts.append(run.reason)
    label = "stalled" if counts.get("stalled") and state is RunState.running else state.value
    return RunStatus(label=label, sentence=", ".join(parts))


def _workers(db: Session, now: datetime) -> dict[str, tuple[frozenset[str], bool]]:
    rows = db.execute(
        select(Worker.name, Worker.queues, Worker.run_id).where(Worker.heartbeat_at > now - ALIVE)
    )
    return {name: (frozenset(queues), run_id is not None) for name, queues, run_id in rows}


def _names(db: Session, waiting: Sequence[Run]) -> dict[UUID, tuple[str, str]]:
    needed = {id_ for run in waiting for id_ in run.depends_on}
    if not needed:
        return {}
    open_ = Run.state != RunState.succeeded.value
    rows = db.execute(select(Run.id, Run.name, Run.state).where(Run.id.in_(needed), open_))
    return {id_: (name, state) for id_, name, state in rows}


def _errors(db: Session, failed: Sequence[UUID]) -> dict[UUID, str]:
    if not failed:
        return {}
    end = func.right(Run.error, TRACEBACK)
    rows = db.execute(select(Run.id, end).where(Run.id.in_(failed), Run.error.is_not(None)))
    return {row[0]: row[1] for row in rows}


def _children(db: Session, parents: Sequence[UUID], now: datetime) -> dict[UUID, dict[str, int]]:
    if not parents:
        return {}
    counts_by_parent: dict[UUID, dict[str, int]] = {}
    rows = db.execute(
        select(Run.parent_id, Run.state, func.count(), func.count().filter(Run.lease_until < now))
        .where(Run.parent_id.in_(parents))
        .group_by(Run.parent_id, Run.state)
    )
    for parent, state, number, late in rows:
        if parent is None:
            continue
        counts = counts_by_parent.setdefault(parent, {})
        counts[state] = number
        if late and state in [s.value for s in LIVE]:
            counts["stalled"] = counts.get("stalled", 0) + late
    return counts_by_parent
