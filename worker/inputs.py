"""Fetch what a run reads into its workspace, before its stage starts: inputs and saved state."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.registry import artifacts, dataset_versions, datasets, folders
from backend.store.registry.storage import MissingBucket, StorageError
from backend.store.registry.storage_away import StorageAway
from backend.store.registry.tables import Artifact, Upload
from backend.store.runs import logs
from backend.store.runs.states.lease import Claim, drop_checkpoints
from backend.store.upkeep.states import read_state
from vise_core.files import listing
from vise_core.specs.recipes.inputs import InputRef

from .child import ChildTask
from .context import Context

POLL_SECONDS = 0.1


class Interrupted(Exception):
    """The run is stopped, or this worker, while inputs are fetched."""


def prepare_until(
    stopped: Callable[[], bool], prepare: Callable[[], ChildTask], workspace: Path
) -> ChildTask:
    """Return what ``prepare`` returns. Raises its error, and Interrupted once ``stopped`` returns true.

    ``prepare`` runs in a thread, which is then left behind: a large file or a storage that hangs must not hold the run.
    What the thread still writes to the workspace is removed when it ends.
    """
    future: Future[ChildTask] = Future()
    left_behind = threading.Event()

    def work() -> None:
        try:
            future.set_result(prepare())
        except BaseException as error:
            future.set_exception(error)
        if left_behind.is_set():
            shutil.rmtree(workspace, ignore_errors=True)

    threading.Thread(target=work, name="inputs", daemon=True).start()
    while not wait([future], POLL_SECONDS).done:
        if stopped():
            left_behind.set()
            raise Interrupted("stopped while its inputs were fetched")
    return future.result()


def prepare(context: Context, claim: Claim, workspace: Path) -> ChildTask:
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
