"""The selection of runs to compare."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.session import client

MOST = 100


def selected_runs() -> list[UUID]:
    """Return the runs that the address names, or the first ones that its query finds."""
    if query := st.query_params.get("query"):
        return [run.id for run in client().runs(query=query, kind="stage", all=True, limit=MOST).items]
    ids: dict[UUID, None] = {}
    for text in st.query_params.get_all("run"):
        try:
            ids[UUID(text)] = None
        except ValueError:
            continue
    return list(ids)[:MOST]


def run_select(selected: list[UUID]) -> None:
    """Add runs to the comparison or remove them, which changes the address."""
    label = f"{len(selected)} runs" if selected else "Select runs"
    box = st.expander(
        label, expanded=len(selected) < 2, icon=":material/checklist:", key="choosing", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        search = st.text_input("Search runs", key="find", bind="query-params", placeholder="name or tag")
        listed = client().runs(kind="stage", all=True, limit=MOST, search=search).items
        labels = {r.id: f"{r.name} ({r.stage}, {r.created_at:%m-%d %H:%M}, {str(r.id)[-4:]})" for r in listed}
        for run_id in selected:
            labels.setdefault(run_id, f"run …{str(run_id)[-4:]}")
        changed = st.multiselect(
            "Runs",
            list(labels),
            default=selected,
            format_func=labels.__getitem__,
            max_selections=MOST,
            key=f"runs-{hash((tuple(selected), search))}",
        )
        if changed != selected:
            for name in ("run", "query"):
                st.query_params.pop(name, None)
            st.query_params["run"] = [str(run_id) for run_id in changed]
            st.rerun()
