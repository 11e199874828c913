"""Execute a run: claim it, fetch inputs, run the stage in a child process, renew the lease, write the final state."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.store.errors import StaleToken, in_words
from backend.store.registry import artifacts, dataset_versions, datasets, folders
from backend.store.registry.tables import Upload
from backend.store.runs.states.cancel import stop_run
from backend.store.runs.states.finish import finish_run, release_run, requeue_run
from backend.store.runs.states.lease import Claim, claim_run, renew_lease
from vise_client.schemas.run_states import RunState
from vise_core.errors import ViseError
from vise_core.files import listing
from vise_core.specs.recipes.inputs import InputRef

from .child import CRASHED, DONE, FAILED, OUTCOME, STOPPED, ChildTask, child_main
from .context import Context, get_context
from .reporter import LOST
from .telemetry import watch

log = logging.getLogger("vise.worker")
POLL_SECONDS = 0.1
STDERR = "stderr.txt"

# Not a fork of this process, which has threads, nor a new interpreter, which would import for seconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["worker.preload"])


def start_fork_server() -> None:
    """Start the fork server, so that the first run need not wait for it."""
    forkserver.ensure_running()


class CurrentRun(Protocol):
    """Holds the id of the run that this worker executes."""

    run_id: UUID | None


def execute(run_id: UUID, stopping: threading.Event, current: CurrentRun) -> None:
    """Execute a queued run to its end, or until ``stopping`` is set; do nothing if it cannot be claimed."""
    context = get_context()
    if stopping.is_set():
        return
    with context.sessions.begin() as db:
        claim = claim_run(db, run_id, context.name, context.settings.lease_seconds)
    if claim is None:
        log.info("run %s is no longer queued; message dropped", run_id)
        return
    log.info("run %s: %s, attempt %d", run_id, claim.stage, claim.attempt)
    current.run_id = run_id
    workspace = context.settings.workspaces.resolve() / f"{run_id}-{claim.token}"
    try:
        with _lease(context, claim) as lease:
            _supervise(context, claim, workspace, stopping, lease)
    except StaleToken as error:
        log.warning("%s; another worker holds the run", error)
    except Exception as error:
        # Not the stage's fault: requeue the run at once instead of when its lease expires.
        log.exception("run %s could not be executed", run_id)
        _requeue(context, claim, f"{context.name} failed: {in_words(error)}")
    finally:
        current.run_id = None
        shutil.rmtree(workspace, ignore_errors=True)


class Lease:
    """State of a run's lease: whether it is lost, and the state requested to stop the run, if any."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.requested: RunState | None = None


@contextmanager
def _lease(context: Context, claim: Claim) -> Iterator[Lease]:
    """Renew the lease until the block ends, also while inputs are fetched."""
    lease, done = Lease(), threading.Event()

    def renew() -> None:
        last = time.monotonic()
        while not done.wait(context.settings.lease_seconds / 4):
            try:
                with context.sessions.begin() as db:
                    state = renew_lease(db, claim.run_id, claim.token, context.settings.lease_seconds)
                last = time.monotonic()
            except SQLAlchemyError as error:
                # Without the database no other worker can claim the run either: go on and retry.
                log.warning(
                    "run %s: lease not renewed for %.0f s: %s", claim.run_id, time.monotonic() - last, error
                )
                continue
            if state is None:
                lease.lost.set()
                return
            if state is not RunState.running:
                lease.requested = state

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()


def _supervise(
    context: Context, claim: Claim, workspace: Path, stopping: threading.Event, lease: Lease
) -> None:
    """Run the stage in a child process to its end, and write the final state. Raises StaleToken."""
    try:
        task = _prepare(context, claim, workspace)
    except ViseError as error:
        _end(context, claim, stopping, RunState.failed, reason=f"its inputs could not be fetched: {error}")
        return
    child = PROCESSES.Process(
        target=child_main, args=(task, dict(os.environ), workspace / STDERR), name=f"run {claim.run_id}"
    )
    child.start()
    stopped_at: float | None = None
    with watch(context, claim, int(child.pid or 0)):
        while child.exitcode is None:
            if lease.lost.is_set():
                kill(child)
                raise StaleToken(f"run {claim.run_id}: the lease has expired")
            if stopped_at is None and (stopping.is_set() or lease.requested is not None):
                child.terminate()
                stopped_at = time.monotonic()
            if (
                stopped_at is not None
                and time.monotonic() - stopped_at > context.settings.cancel_grace_seconds
            ):
                kill(child)
            time.sleep(POLL_SECONDS)
    # Also the processes that the stage has started (data loaders, trainers).
    kill(child)
    _write_end(context, claim, workspace, int(child.exitcode), lease, stopping)


def _prepare(context: Context, claim: Claim, workspace: Path) -> ChildTask:
    """Create the workspace with inputs and saved state. Raises ViseError if an input cannot be fetched."""
    # Also the workspaces of earlier attempts, whose workers were killed.
    for leftover in workspace.parent.glob(f"{claim.run_id}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    workspace.mkdir(parents=True)
    inputs, hashes, names = {}, {}, {}
    for role, raw in claim.inputs.items():
        ref = InputRef.model_validate(raw)
        with context.sessions() as db:
            made_by, name = ref.run, ref.artifact
            if ref.upload is not None:
                upload = db.get_one(Upload, ref.upload)
                inputs[role] = workspace / "inputs" / role / upload.name
                context.storage.get(upload.sha256, inputs[role])
                hashes[role] = upload.sha256
                continue
            if ref.dataset is not None:
                dataset = datasets.get(db, ref.dataset)
                names[role] = dataset.name
                if dataset.folder is not None:
                    inputs[role] = folders.resolve(context.settings.data_root, dataset.folder)
                    if claim.stage == dataset_versions.SURVEY:
                        _list(context, claim, inputs[role])
                    continue
                made_by, name = dataset.run_id, dataset_versions.DATA
            names.setdefault(role, str(name))
            artifact = artifacts.of_run(db, UUID(str(made_by)), str(name))
            manifest = artifact.manifest
        folder = workspace / "inputs" / role
        inputs[role] = artifacts.materialise(context.storage, manifest, artifact.folder, folder)
        hashes[role] = artifact.sha256
    if claim.checkpoint is not None:
        token, _, key = claim.checkpoint.partition("/")
        storage = context.state_storage(claim.run_id, int(token))
        with storage.open(key) as file:
            for row in json.load(file):
                storage.get(row["sha256"], workspace / "state" / row["path"], link=False)
    return ChildTask(claim.run_id, claim.token, claim.stage, claim.spec, inputs, hashes, names, workspace)


def _list(context: Context, claim: Claim, folder: Path) -> None:
    """Store the folder's listing before it is hashed: later changes then differ from the survey's version."""
    rows = listing.pack(listing.list_folder(folder))
    context.write(lambda db: dataset_versions.keep_listing(db, claim.run_id, rows))


def _write_end(
    context: Context, claim: Claim, workspace: Path, code: int, lease: Lease, stopping: threading.Event
) -> None:
    """Write the run's final state by the child's exit code and outcome. Raises StaleToken."""
    outcome: dict[str, Any] = {}
    if (workspace / OUTCOME).exists():
        outcome = json.loads((workspace / OUTCOME).read_bytes())
    if code == DONE:
        _end(context, claim, stopping, RunState.succeeded, **outcome)
        context.state_storage(claim.run_id).clear()
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
    elif code in (FAILED, CRASHED, STOPPED) and outcome:
        _end(context, claim, stopping, RunState.failed, reason=outcome["reason"], error=outcome.get("error"))
    else:
        tail = (workspace / STDERR).read_text(errors="replace")[-4000:]
        _end(context, claim, stopping, RunState.failed, reason=_death(code), error=tail or None)


def _end(context: Context, claim: Claim, stopping: threading.Event, state: RunState, **values: Any) -> None:
    """Write a final state."""
    context.write(lambda db: finish_run(db, claim.run_id, claim.token, state, **values), stop=stopping)
    log.info("run %s: %s %s", claim.run_id, state, values.get("reason") or "")


def _stop(db: Session, claim: Claim, detail: str) -> None:
    """Write that the run stopped as requested. Raises StaleToken."""
    if stop_run(db, claim.run_id, claim.token, detail) is None:
        raise StaleToken(f"run {claim.run_id} is no longer held with token {claim.token}")


def _requeue(context: Context, claim: Claim, detail: str) -> None:
    """Requeue the run, or fail it after its last attempt."""

    def write(db: Session) -> None:
        if claim.attempt >= context.settings.max_attempts:
            reason = f"failed after {claim.attempt} attempts: {detail}"
            finish_run(db, claim.run_id, claim.token, RunState.failed, reason=reason)
        else:
            requeue_run(db, claim.run_id, claim.token, detail)

    # If this fails too, the lease expires and the reconciler requeues the run.
    with suppress(StaleToken, SQLAlchemyError), context.sessions.begin() as db:
        write(db)


def _death(code: int) -> str:
    """Return a sentence for an exit code that the stage did not choose."""
    if code >= 0:
        return f"its process ended with exit code {code} without an error message"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "its process was killed (SIGKILL), most likely because memory ran out: use a smaller batch or image size"
    return f"its process was killed by {name}"


def kill(child: BaseProcess) -> None:
    """Send SIGKILL to the child's session, or to the child alone if it has none yet; wait for its end."""
    with suppress(ProcessLookupError):
        os.killpg(int(child.pid or 0), signal.SIGKILL)
    child.kill()
    child.join()
