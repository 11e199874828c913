"""Operations that remove posts for good."""

from __future__ import annotations

from ..operation import Id, delete, get, post
from ..schemas.removals import RemovalCreate, RemovalView
from ..schemas.wire import Page


class RemovalOperations:
    """List what holds posts and what was derived from them, and remove it."""

    @get("/removals")
    def removals(self, *, cursor: Id | None = None, limit: int = 20) -> Page[RemovalView]:
        """Return one page of the removals, newest first."""

    @post("/removals")
    def create_removal(self, body: RemovalCreate) -> RemovalView:
        """List what holds posts; a worker does it. Nothing is removed until ``apply_removal``."""

    @get("/removals/{removal_id}")
    def removal(self, removal_id: Id) -> RemovalView:
        """Return a removal: what holds the posts, what was done, and the proof."""

    @post("/removals/{removal_id}/apply")
    def apply_removal(self, removal_id: Id) -> RemovalView:
        """Remove the posts for good; a worker does it."""

    @delete("/removals/{removal_id}")
    def delete_removal(self, removal_id: Id) -> None:
        """Delete a removal that was only listed."""
