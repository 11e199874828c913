"""Operations on the run list: groups of repetitions, the query vocabulary, and saved views."""

from __future__ import annotations

from collections.abc import Sequence

from ..operation import Id, delete, get, patch, post
from ..schemas.run_lists import GroupPage, SavedViewCreate, SavedViewUpdate, SavedViewView, Vocabulary


class RunListOperations:
    """Group the run list, complete its queries, and save its views."""

    @get("/runs/groups")
    def run_groups(
        self,
        *,
        query: str = "",
        sort: str = "-created",
        column: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
    ) -> GroupPage:
        """Return one page of groups of runs that differ by seeds and splits only; parameters as of ``runs``."""

    @get("/runs/vocabulary")
    def vocabulary(self) -> Vocabulary:
        """Return the fields, spec paths, metrics and tags that a query can name."""

    @get("/views")
    def views(self) -> list[SavedViewView]:
        """Return the user's saved views of the run list, and those that others share."""

    @post("/views")
    def save_view(self, body: SavedViewCreate) -> SavedViewView:
        """Save a query of the run list with its columns, order and grouping."""

    @patch("/views/{view_id}")
    def update_view(self, view_id: Id, body: SavedViewUpdate) -> SavedViewView:
        """Change a saved view."""

    @delete("/views/{view_id}")
    def delete_view(self, view_id: Id) -> None:
        """Delete a saved view."""
