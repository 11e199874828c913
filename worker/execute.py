"""Execute a run: claim it, fetch inputs, run the stage in a child process, renew the lease, write the final state."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.store.errors import StaleToken, in_words, is_transient
from backend.store.registry.storage_away import StorageAway, away
from backend.store.runs.states.attempts import Failure, retry_or_fail
from backend.store.runs.states.cancel import stop_run
from backend.store.runs.states.finish import finish_run, release_run
from backend.store.runs.states.lease import Claim, claim_run, renew_lease
from backend.store.upkeep.marks import backup_runs
from vise_client.schemas.run_states import RunState
from vise_core.errors import ViseError

from .child import CRASHED, DISK, DONE, FAILED, NO_CLUSTER, OUTCOME, STOPPED, child_main
from .context import SHORTEST_PAUSE, Context, get_context
from .guardian import RESUME, SUSPEND
from .inputs import POLL_SECONDS, Interrupted, prepare, prepare_until
from .reporter import LOST
from .stage_process import PROCESSES, SERVER_DIED, Lease, TimeLimits, death, kill
from .telemetry import watch

log = logging.getLogger("vise.worker")
STDERR = "stderr.txt"
RECORD_SECONDS = 4.0
"""Time to record the end of a run when this worker shuts down: the stage cannot use it up to save its state."""

Record = Callable[[Callable[[Session], object]], None]
"""Writes how a run ended, in a transaction that it retries."""

_executing: set[UUID] = set()
"""Runs that this process executes: a second message for one of them is dropped."""


class CurrentRun(Protocol):
    """Holds the id of the run that this worker executes, and what its shutdown waits for.

    ``stage_runs``: the process of its stage runs. ``record_until``: its end is being recorded, for which this worker
    takes time until then (monotonic).
    """

    run_id: UUID | None
    stage_runs: bool
    record_until: float


class DatabaseAway(Exception):
    """The stage was killed as this worker has to end and the database does not respond: most likely nothing can be recorded."""


def execute(run_id: UUID, stopping: threading.Event, current: CurrentRun) -> None:
    """Execute a queued run to its end, or until ``stopping`` is set; do nothing if it cannot be claimed."""
    context = get_context()
    if stopping.is_set() or run_id in _executing:
        return
    _executing.add(run_id)
    try:
        _execute(context, run_id, stopping, current)
    finally:
        _executing.discard(run_id)


def _execute(context: Context, run_id: UUID, stopping: threading.Event, current: CurrentRun) -> None:
    lease = Lease(context.settings.lease_seconds)
    try:
        claim = _claim(context, run_id, stopping, lease)
    except SQLAlchemyError as error:
        log.warning("run %s could not be claimed: %s", run_id, in_words(error))
        return
    if claim is None:
        log.info("run %s is no longer queued; message dropped", run_id)
        return
    log.info("run %s: %s, attempt %d", run_id, claim.stage, claim.attempt)
    current.run_id = run_id
    workspace = context.settings.workspaces.resolve() / f"{run_id}-{claim.token}"
    try:
        with _renewing(context, claim, lease):
            _supervise(context, claim, workspace, stopping, lease, current)
    except StaleToken as error:
        log.warning("%s; another worker holds the run", error)
    except DatabaseAway as error:
        log.warning("run %s: %s", run_id, error)
        with suppress(StaleToken, SQLAlchemyError), context.sessions.begin() as db:
            release_run(db, run_id, claim.token, f"{context.name} is shutting down")
    except Exception as error:
        # Not the stage's fault: requeue the run at once instead of when its lease expires.
        log.exception("run %s could not be executed", run_id)
        passes = away(error)
        failure = Failure.disk if passes is not None and passes.full else Failure.lost
        requeue = _retry(context, claim, failure, f"{context.name} failed: {in_words(error)}")
        # If this fails too, the lease expires and the reconciler requeues the run.
        with suppress(StaleToken, SQLAlchemyError), context.sessions.begin() as db:
            requeue(db)
    finally:
        current.run_id, current.record_until = None, 0.0
        shutil.rmtree(workspace, ignore_errors=True)


def _claim(context: Context, run_id: UUID, stopping: threading.Event, lease: Lease) -> Claim | None:
    """Claim the run. While the database is away this worker waits, and fetches no other message."""
    claims: list[Claim | None] = []

    def write(db: Session) -> None:
        lease.renewed_at = time.monotonic()
        # The acknowledgement of an earlier attempt may have been lost.
        claims.append(claim_run(db, run_id, context.name, lease.seconds, again=bool(claims)))

    context.write(write, stop=stopping)
    return claims[-1]


@contextmanager
def _renewing(context: Context, claim: Claim, lease: Lease) -> Iterator[None]:
    """Renew the lease until the block ends, also while inputs are fetched."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease.seconds / 4):
            began = time.monotonic()
            try:
                with context.sessions.begin() as db:
                    state = renew_lease(db, claim.run_id, claim.token, lease.seconds)
            except SQLAlchemyError as error:
                late = time.monotonic() - lease.renewed_at
                log.warning("run %s: lease not renewed for %.0f s: %s", claim.run_id, late, in_words(error))
                continue
            if state is None:
                lease.lost.set()
                return
            lease.renewed_at = began
            if state is not RunState.running:
                lease.requested = state

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _supervise(
    context: Context,
    claim: Claim,
    workspace: Path,
    stopping: threading.Event,
    lease: Lease,
    current: CurrentRun,
) -> None:
    """Run the stage in a child process to its end, and write the final state. Raises StaleToken."""
    record = partial(_record, context, stopping, current)

    def gives_up(passes: StorageAway) -> bool:
        # Another worker may have room on its disk.
        return passes.full or lease.ended()

    try:
        task = prepare_until(
            lambda: stopping.is_set() or lease.ended(),
            lambda: context.store(lambda: prepare(context, claim, workspace), gives_up, stopping),
            workspace,
        )
    except (StorageAway, Interrupted) as reason:
        current.record_until = time.monotonic() + RECORD_SECONDS
        _without_inputs(context, claim, lease, stopping, record, reason)
        return
    except ViseError as error:
        _end(record, claim, RunState.failed, reason=f"its inputs could not be fetched: {error}")
        return
    child = PROCESSES.Process(
        target=child_main, args=(task, dict(os.environ), workspace / STDERR), name=f"run {claim.run_id}"
    )
    child.start()
    with watch(context, claim, int(child.pid or 0)):
        current.stage_runs = True
        try:
            exceeded = _watch_over(context, claim, child, workspace, stopping, lease)
            current.record_until = time.monotonic() + RECORD_SECONDS
        except BaseException:
            kill(child)
            raise
        finally:
            current.stage_runs = False
    _write_end(context, claim, workspace, int(child.exitcode or 0), lease, stopping, record, exceeded)


def _watch_over(
    context: Context,
    claim: Claim,
    child: BaseProcess,
    workspace: Path,
    stopping: threading.Event,
    lease: Lease,
) -> str | None:
    """Wait until the process has ended, and stop it when that is due; return the time limit that it exceeded, if any.

    Raises StaleToken if the lease is lost, and DatabaseAway if this worker has to end without a database.
    """
    settings = context.settings
    limits = TimeLimits(claim.max_hours or settings.max_run_hours, settings.silent_minutes, workspace)
    exceeded: str | None = None
    while child.exitcode is None:
        if lease.lost.is_set():
            raise StaleToken(f"run {claim.run_id}: the lease has expired")
        if stopping.is_set() and lease.late():
            raise DatabaseAway("killed, as the database does not respond and this worker shuts down")
        suspended = limits.suspended_at is not None
        if lease.overdue() is not suspended:
            # Another worker may run it now. If none does, the run goes on once the lease is renewed.
            log.warning("run %s is %s", claim.run_id, "resumed" if suspended else "suspended")
            os.kill(int(child.pid or 0), RESUME if suspended else SUSPEND)
            (limits.resume if suspended else limits.suspend)()
        exceeded = exceeded or limits.exceeded()
        if limits.stopped_at is None and (stopping.is_set() or lease.requested is not None or exceeded):
            child.terminate()
            limits.stopped_at = time.monotonic()
        grace = settings.cancel_grace_seconds
        if stopping.is_set():
            grace -= min(RECORD_SECONDS, grace / 4)
        if limits.grace_is_over(grace):
            kill(child)
        time.sleep(POLL_SECONDS)
    return exceeded


def _without_inputs(
    context: Context,
    claim: Claim,
    lease: Lease,
    stopping: threading.Event,
    record: Record,
    reason: StorageAway | Interrupted,
) -> None:
    """Give up a run whose inputs cannot be fetched now. Raises StaleToken."""
    if lease.lost.is_set():
        raise StaleToken(f"run {claim.run_id}: the lease has expired")
    if lease.requested is not None:
        record(lambda db: _stop(db, claim, "stopped before its stage began"))
    elif stopping.is_set():
        record(lambda db: release_run(db, claim.run_id, claim.token, f"{context.name} is shutting down"))
    else:
        record(_retry(context, claim, Failure.disk, f"{context.name}: {reason}"))


def _write_end(
    context: Context,
    claim: Claim,
    workspace: Path,
    code: int,
    lease: Lease,
    stopping: threading.Event,
    record: Record,
    exceeded: str | None,
) -> None:
    """Write the run's final state by the child's exit code and outcome. Raises StaleToken."""
    outcome: dict[str, Any] = {}
    if (workspace / OUTCOME).exists():
        outcome = json.loads((workspace / OUTCOME).read_bytes())
    if code == SERVER_DIED and not outcome:
        raise RuntimeError("the fork server of the run's process was killed")
    if code == DONE:
        _end(record, claim, RunState.succeeded, **outcome)
        needed: list[bool] = []
        record(lambda db: needed.append(backup_runs(db)))
        if not needed[-1]:  # else the next sweep removes them
            context.store(context.state_storage(claim.run_id).clear, stop=stopping)
    elif code == LOST:
        raise StaleToken(f"run {claim.run_id}: its writes were refused")
    elif lease.requested is RunState.cancelling or (
        lease.requested is RunState.pausing and code not in (FAILED, CRASHED)
    ):
        saved = "its state is saved" if code == STOPPED else "killed after the grace time"
        record(lambda db: _stop(db, claim, f"stopped, {saved}"))
    elif stopping.is_set():
        record(lambda db: release_run(db, claim.run_id, claim.token, f"{context.name} is shutting down"))
    elif exceeded is not None and code not in (FAILED, CRASHED):
        then = "; its state is saved: retry the run to continue" if code == STOPPED else "; it was killed"
        _end(record, claim, RunState.failed, reason=f"{exceeded}{then}")
    elif code in (FAILED, CRASHED, STOPPED) and outcome:
        _end(record, claim, RunState.failed, reason=outcome["reason"], error=outcome.get("error"))
    elif code == NO_CLUSTER:
        record(_retry(context, claim, Failure.lost, f"{context.name}: {outcome['reason']}"))
    elif code == DISK:
        record(_retry(context, claim, Failure.disk, f"the disk of {context.name} is full"))
    elif code == -signal.SIGKILL:
        record(_retry(context, claim, Failure.memory, death(code), _tail(workspace)))
    else:
        _end(record, claim, RunState.failed, reason=death(code), error=_tail(workspace))


def _tail(workspace: Path) -> str | None:
    """Return the end of what the process wrote to its standard error."""
    return (workspace / STDERR).read_text(errors="replace")[-4000:] or None


def _record(
    context: Context, stopping: threading.Event, current: CurrentRun, write: Callable[[Session], object]
) -> None:
    """Write how a run ended; once this worker stops, retry only until ``current.record_until``."""
    while True:
        try:
            context.write(write, stop=stopping)
            return
        except SQLAlchemyError as error:
            late = time.monotonic() > current.record_until
            if late or not stopping.is_set() or not is_transient(error):
                raise
            log.warning("the end of a run is not recorded yet: %s", in_words(error))
        time.sleep(SHORTEST_PAUSE)


def _end(record: Record, claim: Claim, state: RunState, **values: Any) -> None:
    """Write a final state."""
    record(lambda db: finish_run(db, claim.run_id, claim.token, state, **values))
    log.info("run %s: %s %s", claim.run_id, state, values.get("reason") or "")


def _stop(db: Session, claim: Claim, detail: str) -> None:
    """Write that the run stopped as requested. Raises StaleToken."""
    if stop_run(db, claim.run_id, claim.token, detail) is None:
        raise StaleToken(f"run {claim.run_id} is no longer held with token {claim.token}")


def _retry(
    context: Context, claim: Claim, failure: Failure, detail: str, error: str | None = None
) -> Callable[[Session], object]:
    """Return what queues the run again, or fails it after its last attempt."""
    held = (claim.run_id, claim.token, claim.attempt)
    return lambda db: retry_or_fail(db, *held, failure, detail, context.retries, error)
