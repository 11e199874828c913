"""Artifacts of runs, and their files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from .wire import ResponseBody


class ArtifactView(ResponseBody):
    """An artifact of a run: a file or a folder."""

    id: UUID
    run_id: UUID
    name: str
    sha256: str
    size: int
    files: int = Field(description="Number of files; 1 for a file.")
    folder: bool
    created_at: datetime


class ArtifactFile(ResponseBody):
    """A file of an artifact."""

    path: str
    sha256: str
    size: int
