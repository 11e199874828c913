"""Remove workspaces that a killed worker left: folders ``<run>-<token>`` on the worker's disk."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from backend.store.database import Sessions
from backend.store.runs.states.transition import HELD
from backend.store.runs.tables import Run

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


def remove_workspaces(sessions: Sessions, folder: Path) -> int:
    """Remove them; return how many."""
    dead = dead_workspaces(sessions, folder)
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
