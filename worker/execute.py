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
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.store.errors import StaleToken, in_words
from backend.store.registry import artifacts, dataset_versions, datasets, folders
from backend.store.registry.storage import MissingBucket, StorageError
from backend.store.registry.storage_away import StorageAway, away
from backend.store.registry.tables import Artifact, Upload
from backend.store.runs import logs
from backend.store.runs.states.attempts import Failure, retry_or_fail
from backend.store.runs.states.cancel import stop_run
from backend.store.runs.states.finish import finish_run, release_run
from backend.store.runs.states.lease import Claim, claim_run, drop_checkpoints, renew_lease
from backend.store.upkeep.marks import backup_runs
from backend.store.upkeep.states import read_state
from vise_client.schemas.run_states import RunState
from vise_core.errors import ViseError
from vise_core.files import listing
from vise_core.specs.recipes.inputs import InputRef

from .child import CRASHED, DISK, DONE, FAILED, OUTCOME, STOPPED, ChildTask, child_main
from .context import Context, get_context
from .guardian import RESUME, SUSPEND
from .reporter import LOST
from .stage_process import PROCESSES, SERVER_DIED, Lease, TimeLimits, death, kill
from .telemetry import watch

log = logging.getLogger("vise.worker")
POLL_SECONDS = 0.1
STDERR = "stderr.txt"

_executing: set[UUID] = set()
"""Runs that this process executes: a second message for one of them is dropped."""


class CurrentRun(Protocol):
    """Holds the id of the run that this worker executes, and whether the process of its stage runs."""

    run_id: UUID | None
    stage_runs: bool


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
        current.run_id = None
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

    def gives_up(passes: StorageAway) -> bool:
        # Another worker may have room on its disk.
        return passes.full or lease.lost.is_set() or lease.requested is not None

    try:
        task = context.store(lambda: _prepare(context, claim, workspace), gives_up, stopping)
    except StorageAway as passes:
        _without_storage(context, claim, lease, stopping, passes)
        return
    except ViseError as error:
        _end(context, claim, stopping, RunState.failed, reason=f"its inputs could not be fetched: {error}")
        return
    child = PROCESSES.Process(
        target=child_main, args=(task, dict(os.environ), workspace / STDERR), name=f"run {claim.run_id}"
    )
    child.start()
    with watch(context, claim, int(child.pid or 0)):
        current.stage_runs = True
        try:
            exceeded = _watch_over(context, claim, child, workspace, stopping, lease)
        except BaseException:
            kill(child)
            raise
        finally:
            current.stage_runs = False
    _write_end(context, claim, workspace, int(child.exitcode or 0), lease, stopping, exceeded)


def _watch_over(
    context: Context,
    claim: Claim,
    child: BaseProcess,
    workspace: Path,
    stopping: threading.Event,
    lease: Lease,
) -> str | None:
    """Wait until the process has ended, and stop it when that is due; return the time limit that it exceeded, if any.

    Raises StaleToken if the lease is lost.
    """
    settings = context.settings
    limits = TimeLimits(claim.max_hours or settings.max_run_hours, settings.silent_minutes, workspace)
    stopped_at: float | None = None
    exceeded: str | None = None
    suspended = False
    while child.exitcode is None:
        if lease.lost.is_set():
            raise StaleToken(f"run {claim.run_id}: the lease has expired")
        if stopping.is_set() and lease.late():
            # The database does not respond: no state could be recorded, and this worker has to end.
            kill(child)
            break
        if lease.overdue() is not suspended:
            # Another worker may run it now. If none does, the run goes on once the lease is renewed.
            suspended = not suspended
            log.warning("run %s is %s", claim.run_id, "suspended" if suspended else "resumed")
            os.kill(int(child.pid or 0), SUSPEND if suspended else RESUME)
            limits.note_activity()
        if not suspended:
            exceeded = exceeded or limits.exceeded()
        if stopped_at is None and (stopping.is_set() or lease.requested is not None or exceeded):
            child.terminate()
            stopped_at = time.monotonic()
        if stopped_at is not None and time.monotonic() - stopped_at > settings.cancel_grace_seconds:
            kill(child)
        time.sleep(POLL_SECONDS)
    return exceeded


def _without_storage(
    context: Context, claim: Claim, lease: Lease, stopping: threading.Event, passes: StorageAway
) -> None:
    """Give up a run whose inputs cannot be fetched now. Raises StaleToken."""
    if lease.lost.is_set():
        raise StaleToken(f"run {claim.run_id}: the lease has expired")
    if lease.requested is not None:
        context.write(lambda db: _stop(db, claim, "stopped before its stage began"), stop=stopping)
    elif stopping.is_set():
        with context.sessions.begin() as db:
            release_run(db, claim.run_id, claim.token, f"{context.name} is shutting down")
    else:
        context.write(_retry(context, claim, Failure.disk, f"{context.name}: {passes}"), stop=stopping)


def _prepare(context: Context, claim: Claim, workspace: Path) -> ChildTask:
    """Create the workspace with inputs and saved state. Raises ViseError if an input cannot be fetched."""
    # Also the workspaces of earlier attempts, whose workers were killed.
    for leftover in workspace.parent.glob(f"{claim.run_id}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    workspace.mkdir(parents=True)
    inputs, hashes, names = {}, {}, {}
    for role, raw in claim.inputs.items():
        ref, folder = InputRef.model_validate(raw), workspace / "inputs" / role
        # Files are copied and listed after the transaction: the database ends one that is idle for some seconds.
        with context.sessions() as db:
            source, name = _find_input(db, ref)
        if name is not None:
            names[role] = name
        match source:
            case Upload():
                inputs[role] = folder / source.name
                context.storage.get(source.sha256, inputs[role])
                hashes[role] = source.sha256
            case Artifact():
                inputs[role] = artifacts.materialise(context.storage, source.manifest, source.folder, folder)
                hashes[role] = source.sha256
            case str():
                inputs[role] = folders.resolve(context.settings.data_root, source)
                if claim.stage == dataset_versions.SURVEY:
                    _list(context, claim, inputs[role])
    _load_state(context, claim, workspace / "state")
    return ChildTask(claim.run_id, claim.token, claim.stage, claim.spec, inputs, hashes, names, workspace)


def _find_input(db: Session, ref: InputRef) -> tuple[Upload | Artifact | str, str | None]:
    """Return an upload, an artifact or a data set's folder, and the name to show. Raises ViseError if it is gone."""
    if ref.upload is not None:
        upload = db.get(Upload, ref.upload)
        if upload is None:
            raise StorageError("the uploaded archive has been removed, as its copy is unpacked")
        return upload, None
    if ref.dataset is None:
        return artifacts.of_run(db, UUID(str(ref.run)), str(ref.artifact)), str(ref.artifact)
    dataset = datasets.get(db, ref.dataset)
    if dataset.folder is not None:
        return dataset.folder, dataset.name
    return artifacts.of_run(db, UUID(str(dataset.run_id)), dataset_versions.DATA), dataset.name


def _load_state(context: Context, claim: Claim, folder: Path) -> None:
    """Fetch the newest saved state that is whole; if none is, the run starts from its beginning."""
    lost: dict[str, StorageError] = {}
    for name in claim.checkpoints:
        token, _, key = name.partition("/")
        try:
            read_state(context.state_storage(claim.run_id, int(token)), key, folder)
            break
        except (MissingBucket, StorageAway):
            raise
        except StorageError as error:
            lost[name] = error
            shutil.rmtree(folder, ignore_errors=True)
    if not lost:
        return
    then = (
        "the run starts from its beginning"
        if len(lost) == len(claim.checkpoints)
        else "an earlier one is used"
    )
    lines = [
        (datetime.now(UTC), "warning", f"a saved state cannot be used, {then}: {error}")
        for error in lost.values()
    ]

    def write(db: Session) -> None:
        drop_checkpoints(db, claim.run_id, claim.token, lost.keys())
        logs.append(db, claim.run_id, claim.token, lines)

    context.write(write)


def _list(context: Context, claim: Claim, folder: Path) -> None:
    """Store the folder's listing before it is hashed: later changes then differ from the survey's version."""
    rows = listing.pack(listing.list_folder(folder))
    context.write(lambda db: dataset_versions.keep_listing(db, claim.run_id, rows))


def _write_end(
    context: Context,
    claim: Claim,
    workspace: Path,
    code: int,
    lease: Lease,
    stopping: threading.Event,
    exceeded: str | None,
) -> None:
    """Write the run's final state by the child's exit code and outcome. Raises StaleToken."""
    outcome: dict[str, Any] = {}
    if (workspace / OUTCOME).exists():
        outcome = json.loads((workspace / OUTCOME).read_bytes())
    if code == SERVER_DIED and not outcome:
        raise RuntimeError("the fork server of the run's process was killed")
    if code == DONE:
        _end(context, claim, stopping, RunState.succeeded, **outcome)
        needed: list[bool] = []
        context.write(lambda db: needed.append(backup_runs(db)), stop=stopping)
        if not needed[-1]:  # else the next sweep removes them
            context.store(context.state_storage(claim.run_id).clear, stop=stopping)
    elif code == LOST:
        raise StaleToken(f"run {claim.run_id}: its writes were refused")
    elif lease.requested is RunState.cancelling or (
        lease.requested is RunState.pausing and code not in (FAILED, CRASHED)
    ):
        saved = "its state is saved" if code == STOPPED else "killed after the grace time"
        context.write(lambda db: _stop(db, claim, f"stopped, {saved}"), stop=stopping)
    elif stopping.is_set():
        with context.sessions.begin() as db:
            release_run(db, claim.run_id, claim.token, f"{context.name} is shutting down")
    elif exceeded is not None and code not in (FAILED, CRASHED):
        then = "; its state is saved: retry the run to continue" if code == STOPPED else "; it was killed"
        _end(context, claim, stopping, RunState.failed, reason=f"{exceeded}{then}")
    elif code in (FAILED, CRASHED, STOPPED) and outcome:
        _end(context, claim, stopping, RunState.failed, reason=outcome["reason"], error=outcome.get("error"))
    elif code == DISK:
        context.write(
            _retry(context, claim, Failure.disk, f"the disk of {context.name} is full"), stop=stopping
        )
    elif code == -signal.SIGKILL:
        context.write(_retry(context, claim, Failure.memory, death(code), _tail(workspace)), stop=stopping)
    else:
        _end(context, claim, stopping, RunState.failed, reason=death(code), error=_tail(workspace))


def _tail(workspace: Path) -> str | None:
    """Return the end of what the process wrote to its standard error."""
    return (workspace / STDERR).read_text(errors="replace")[-4000:] or None


def _end(context: Context, claim: Claim, stopping: threading.Event, state: RunState, **values: Any) -> None:
    """Write a final state."""
    context.write(lambda db: finish_run(db, claim.run_id, claim.token, state, **values), stop=stopping)
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
