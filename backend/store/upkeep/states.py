"""Remove saved states of runs that nothing resumes from: ``checkpoints/<run>/<token>/objects/…`` in the storage."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.store.database import Sessions
from backend.store.registry.storage import FileFacts, Storage, StorageError
from backend.store.runs.states.transition import HELD
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.errors import BadInput
from vise_core.files.names import contained

from .marks import backup_runs

FOLDER = "checkpoints"


@dataclass(frozen=True)
class StateFolder:
    """The saved states of one run, with their files by path below the storage's root."""

    run_id: UUID
    files: dict[str, FileFacts]

    def of_token(self, token: int) -> dict[str, FileFacts]:
        """Return the files that the holder of this fencing token wrote."""
        start = f"{FOLDER}/{self.run_id}/{token}/"
        return {path: facts for path, facts in self.files.items() if path.startswith(start)}


def state_storage(storage_url: str, run_id: UUID, token: int | None = None) -> Storage:
    """Return the storage of a run's checkpoints; with a fencing token, of those that its holder wrote.

    Apart from artifacts, so that outdated ones can be deleted; apart by token, so that a worker that has lost its lease
    can neither delete nor overwrite what its successor needs.
    """
    url = f"{storage_url.rstrip('/')}/{FOLDER}/{run_id}"
    return Storage(url if token is None else f"{url}/{token}")


def expire_states(db: Session, days: float) -> None:
    """Have runs that failed or were cancelled long ago no longer name a state, so that it can be removed."""
    ended = (Run.state.in_([RunState.failed.value, RunState.cancelled.value]), Run.checkpoint.is_not(None))
    old = Run.finished_at < func.now() - timedelta(days=days)
    db.execute(update(Run).where(*ended, old).values(checkpoint=None, earlier_checkpoints=[]))


def outdated_states(sessions: Sessions, storage: Storage, grace_seconds: float) -> dict[str, int]:
    """Return path → bytes of the files of states that no run resumes from.

    Of a run that a worker holds, only files that are older than the grace time: the worker may be saving a state.
    """
    outdated: dict[str, int] = {}
    before = time.time() - grace_seconds
    # Listed before the rows are read: a state that is saved later has later files.
    for folder in list(_folders(storage)):
        with sessions() as db:
            row = db.execute(
                select(Run.state, Run.token, Run.checkpoint, Run.earlier_checkpoints).where(
                    Run.id == folder.run_id
                )
            ).one_or_none()
        kept: set[str] = set()
        if row is not None and row.state != RunState.succeeded.value:
            names = [name for name in (row.checkpoint, *row.earlier_checkpoints) if name]
            lists = [state_files(storage, folder.run_id, name) for name in names]
            kept = {path for files in lists for path in files}
            if row.state in {state.value for state in HELD}:
                if any(len(files) == 1 for files in lists):
                    continue  # replaced since the row was read: the next pass sees what is kept now
                kept |= {p for p, f in folder.of_token(row.token).items() if f.written > before}
        outdated |= {path: facts.size for path, facts in folder.files.items() if path not in kept}
    return outdated


def remove_outdated_states(sessions: Sessions, storage: Storage, grace_seconds: float) -> int:
    """Remove these files, unless a backup is being made, which may need them; return how many."""
    paths = outdated_states(sessions, storage, grace_seconds)
    with sessions() as db:
        if backup_runs(db):
            return 0
    # A backup that begins now does not need them: no run names them again.
    storage.remove_files(paths)
    return len(paths)


def _folders(storage: Storage) -> Iterator[StateFolder]:
    folders: dict[str, dict[str, FileFacts]] = {}
    for path, facts in storage.files(FOLDER):
        folders.setdefault(path.split("/")[1], {})[path] = facts
    for name, files in folders.items():
        try:
            run_id = UUID(name)
        except ValueError:
            continue  # not ours
        yield StateFolder(run_id, files)


def state_files(storage: Storage, run_id: UUID, name: str) -> list[str]:
    """Return the paths of a state's files: its list and what the list names, as far as there is one."""
    token, _, key = name.partition("/")
    try:
        rows = _list(state_storage(storage.url, run_id, int(token)), key)
    except StorageError:
        rows = []  # gone: a run falls back to an earlier one
    digests = [key, *(row["sha256"] for row in rows)]
    return [f"{FOLDER}/{run_id}/{token}/objects/{sha256[:2]}/{sha256}" for sha256 in digests]


def read_state(states: Storage, key: str, folder: Path) -> None:
    """Place the files of a state in a folder, writable. Raises StorageError if one is missing or damaged."""
    for row in _list(states, key):
        try:
            path = contained(folder, row["path"])
        except BadInput as error:
            raise StorageError(f"the list of files {key} is damaged: {error}") from error
        states.get(row["sha256"], path, link=False)


def _list(states: Storage, key: str) -> list[dict[str, str]]:
    """Return the rows of a state's list of files. Raises StorageError if it is missing or damaged."""
    content = b"".join(states.stream(key))
    if hashlib.sha256(content).hexdigest() != key:
        raise StorageError(f"the object {key} is damaged: its content has another digest")
    rows: list[dict[str, str]] = json.loads(content)
    return rows
