"""Remove what killed workers left on their disk: workspaces, folders ``<run>-<token>``, and copies of models."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select

from backend.store.database import Sessions
from backend.store.runs.states.transition import HELD
from backend.store.runs.tables import Run, Worker
from backend.store.runs.workers import RECENT

COPIES = "predictors"
"""Folder with a folder for each prediction worker, in which it copies models to load them."""
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)")


def dead_workspaces(sessions: Sessions, folder: Path) -> list[Path]:
    """Return the workspaces whose run no worker holds with that fencing token: nobody can write results from them."""
    # Listed first: a run is claimed before its workspace is made.
    named = {path: match for path in _entries(folder) if (match := _NAME.fullmatch(path.name))}
    if not named:
        return []
    held = select(Run.id, Run.token).where(Run.state.in_([state.value for state in HELD]))
    with sessions() as db:
        living = {(run_id, token) for run_id, token in db.execute(held)}
    return [path for path, match in named.items() if (UUID(match[1]), int(match[2])) not in living]


def dead_copies(sessions: Sessions, folder: Path) -> list[Path]:
    """Return the folders with copies of models whose worker has sent no heartbeat for long."""
    before = time.time() - RECENT.total_seconds()
    # A worker that starts copies before its first heartbeat.
    old = [path for path in _entries(folder / COPIES) if path.lstat().st_mtime < before]
    if not old:
        return []
    with sessions() as db:
        alive = set(db.scalars(select(Worker.name).where(Worker.heartbeat_at > func.now() - RECENT)))
    return [path for path in old if path.name not in alive]


def remove_workspaces(sessions: Sessions, folder: Path) -> int:
    """Remove dead workspaces and copies of models; return how many."""
    dead = dead_workspaces(sessions, folder) + dead_copies(sessions, folder)
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
