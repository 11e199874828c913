"""Removals of posts for good, as a request for privacy demands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from .wire import RequestBody, ResponseBody

MAX_POSTS = 1000
MAX_ID_LENGTH = 200
PostId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH, strip_whitespace=True)]


class RemovalState(StrEnum):
    """Where a removal stands.

    ``listing``: a worker looks for what holds the posts. ``listed``: nothing is changed until it is applied.
    ``removing``: a worker removes the posts. ``removed``: they are gone, apart from what ``left`` names. ``failed``:
    ``error`` says why; it can be applied again, and is listed again if it was only being listed.
    """

    listing = "listing"
    listed = "listed"
    removing = "removing"
    removed = "removed"
    failed = "failed"

    @property
    def working(self) -> bool:
        """Whether a worker has something to do."""
        return self in (RemovalState.listing, RemovalState.removing)


class RemovalCreate(RequestBody):
    """Posts to remove, by their ids as in their source."""

    posts: list[PostId] = Field(min_length=1, max_length=MAX_POSTS)


class RemovalFinding(ResponseBody):
    """One thing that holds the posts, or was derived from them, and what is done with it."""

    action: str = Field(description="rewrite, remove, mark, or by hand.")
    what: str


class RemovalView(ResponseBody):
    """A removal of posts: what holds them, what was done, and the proof."""

    id: UUID
    created_at: datetime
    applied_at: datetime | None = Field(description="Null: only listed, nothing was removed.")
    finished_at: datetime | None
    posts: list[str]
    state: RemovalState
    progress: str = Field(description="What the worker does now.")
    findings: list[RemovalFinding] = Field(description="What holds the posts or was derived from them.")
    left: list[str] = Field(
        description="After the removal: what still holds a post, or may. Empty proves that nothing does."
    )
    error: str = ""
    caches_cleared: list[str] = Field(description="Workers that have cleared their caches since.")
    caches_waiting: list[str] = Field(description="Live workers that have yet to do so.")
