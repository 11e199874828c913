"""Artifacts of runs, and their files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from .wire import Wire


class ArtifactView(Wire):
    id: UUID
    run_id: UUID
    name: str
    sha256: str
    size: int
    files: int = Field(description="1 for a file; the number of files of a folder.")
    folder: bool
    created_at: datetime


class ArtifactFile(Wire):
    path: str
    sha256: str
    size: int
