"""The state of the run list in the page's address: query, columns, order, grouping and opened groups."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from vise_client.schemas.run_lists import RunListState

NEWEST_FIRST = "-created"


def read_state() -> RunListState:
    """Return the state that the address holds. The parameters stage, state and search of links are added to the query."""
    params = st.query_params
    query = params.get("query", "")
    parts = [f"{name} = {params[name]}" for name in ("stage", "state") if params.get(name)]
    if params.get("search"):
        escaped = params["search"].replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{escaped}"')
    if parts:
        query = " and ".join([*([f"({query})"] if query else []), *parts])
    return RunListState(
        query=query[:2000],
        columns=params.get_all("column")[:40],
        sort=params.get("sort", NEWEST_FIRST)[:200],
        grouped=params.get("grouped") == "true",
        nested=params.get("all") == "true",
    )


def write_state(state: RunListState, *, cursor: str | None = None, opened: Sequence[str] = ()) -> None:
    """Write the state to the address, so that a link or a reload shows the same list."""
    params: dict[str, str | list[str]] = {
        "query": state.query,
        "column": state.columns,
        "sort": "" if state.sort == NEWEST_FIRST else state.sort,
        "grouped": "true" if state.grouped else "",
        "all": "true" if state.nested else "",
        "cursor": cursor or "",
        "open": list(opened),
    }
    st.query_params.from_dict({name: value for name, value in params.items() if value})
