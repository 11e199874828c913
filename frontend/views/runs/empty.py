"""The texts of an empty run list."""

from __future__ import annotations

from frontend.components.layout import empty
from frontend.session import client
from vise_client.schemas.run_lists import RunListState


def empty_list(state: RunListState, cursor: str | None) -> None:
    """Say why the list is empty, and what to do next."""
    if cursor:
        empty(
            "No runs on this page",
            "Its runs were deleted or have changed since.",
            page="runs",
            label="First page",
        )
    elif not state.query:
        empty("No runs yet", "Launch a stage or a recipe; its runs appear here.", page="launch")
    elif n_nested := _n_nested(state):
        empty(
            "No top-level run matches the search",
            "Runs inside recipes and sweeps do.",
            page="runs",
            label=f"Show {n_nested} inside recipes and sweeps",
            query={"query": state.query, "all": "true"},
        )
    else:
        empty(
            "No run matches the search", "Change the search, or show all runs.", page="runs", label="All runs"
        )


def _n_nested(state: RunListState) -> int:
    """The number of matching runs inside recipes and sweeps; 0 where the list includes them already."""
    if state.nested or state.grouped:
        return 0
    return client().runs(query=state.query, all=True, limit=1, count=True).total or 0
