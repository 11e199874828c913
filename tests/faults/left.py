"""What a schedule has left behind: processes, files and rows that belong to nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import psutil
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Upload
from backend.store.runs.tables import Run
from backend.store.upkeep.states import FOLDER

if TYPE_CHECKING:
    from .world import World


class ProcessRecord(NamedTuple):
    """A process of the cluster. ``depth``: processes between it and the one that the world started; None: an orphan."""

    pid: int
    command: str
    depth: int | None


def processes(folder: Path, ours: Collection[int]) -> Iterator[ProcessRecord]:
    """Yield the processes of a world with this folder, apart from those that it has started itself (``ours``)."""
    for process in psutil.process_iter():
        try:
            if process.pid in ours or not _belongs(process, folder):
                continue
            above = [parent.pid for parent in process.parents()]
            depth = next((n for n, pid in enumerate(above) if pid in ours), None)
            yield ProcessRecord(process.pid, " ".join(process.cmdline())[:80], depth)
        except psutil.Error:
            continue


def _belongs(process: psutil.Process, folder: Path) -> bool:
    # Processes that read hostile files have none of the environment.
    return process.environ().get("VISE_HOME") == str(folder) or process.cwd() == str(folder)


def files(world: World) -> Iterator[str]:
    """Yield the files that were never completed, and workspaces that no run needs."""
    for path in (world.cluster.folder / "work").glob("*-*-*"):
        yield f"the workspace {path.name}"
    # Also those below the folders of saved states.
    storage = world.cluster.folder / "storage"
    paths = [path for name in ("incoming", "uploads") for path in storage.rglob(f"{name}/*")]
    for path in [*paths, *(world.cluster.folder / "incoming").glob("*")]:
        yield f"the file {path.relative_to(world.cluster.folder)}"


def rows(db: Session) -> Iterator[str]:
    """Yield rows of deleted runs: points have no foreign key, a trigger deletes them."""
    orphans = "SELECT DISTINCT run_id FROM metric_points WHERE run_id NOT IN (SELECT id FROM runs)"
    for run_id in db.scalars(text(orphans)):
        yield f"points of the deleted run {run_id}"


def states(db: Session, storage: Storage) -> Iterator[str]:
    """Yield saved states from which no run resumes."""
    folders = {Path(path).parts[1] for path, _ in storage.files(FOLDER)}
    kept: ColumnElement[bool] = Run.state != "succeeded"
    resumable = {str(run_id) for run_id in db.scalars(select(Run.id).where(kept))}
    for run_id in sorted(folders - resumable):
        yield f"saved states of the run {run_id}"


def objects(db: Session, storage: Storage, seconds: float) -> Iterator[str]:
    """Yield the objects that no row names and that were written more than ``seconds`` ago."""
    # Listed before the rows are read: what is stored later has its row later.
    before = time.time() - seconds
    old = {path.rpartition("/")[2] for path, facts in storage.files("objects") if facts.written < before}
    named = {row["sha256"] for manifest in db.scalars(select(Artifact.manifest)) for row in manifest}
    for sha256 in sorted(old - named - set(db.scalars(select(Upload.sha256)))):
        yield f"the object {sha256}, which no row names"


def deleted(storage: Storage, contents: dict[UUID, str]) -> Iterator[str]:
    """Yield the objects of deleted runs. ``contents``: what each of them had stored, and no other run."""
    stored = {sha256 for sha256, _ in storage.objects()}
    for run_id, content in contents.items():
        if hashlib.sha256(content.encode()).hexdigest() in stored:
            yield f"the object of the deleted run {run_id}"


def holding(storage: Storage, posts: Collection[str], most_bytes: int = 2**20) -> Iterator[str]:
    """Yield the removed posts that an object holds; of bigger objects, which are weights, none is read."""
    for sha256, size in storage.objects():
        if size > most_bytes or not posts:
            continue
        content = (Path(storage.root) / "objects" / sha256[:2] / sha256).read_bytes()
        yield from (f"{post} in the object {sha256}" for post in posts if post.encode() in content)
