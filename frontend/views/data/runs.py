"""The runs that read a data set, in which version each, and removing the data set, which shows them first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import streamlit as st

from frontend.components.layout import empty
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.style import badge
from vise_client.schemas.datasets import DatasetUsage, DatasetUse, DatasetView
from vise_client.schemas.run_states import RunState

PAGE = 10
NEWEST = 5
"""Runs that are named before a data set is removed."""


def data_runs(one: DatasetView) -> None:
    """One page of them, newest first; of one version where the address names one."""
    st.subheader("Runs that read it", anchor=False)
    version = st.query_params.get("version", "")
    query: dict[str, Any] = {"cursor": st.query_params.get("cursor"), "limit": PAGE}
    if version == "unknown":
        query["unknown"] = True
    elif version.isdecimal():
        query["version"] = version
    found = client().dataset_runs(one.id, **query)
    if "unknown" in query or "version" in query:
        which = "no known version" if version == "unknown" else f"version {version}"
        if st.button(f"Only those of {which}", icon=":material/close:", help="Show all runs."):
            st.query_params.pop("version")
            st.query_params.pop("cursor", None)
            st.rerun()
    if not found.items:
        empty("No run has read it yet.", "Runs appear here with the version that each of them read.")
    else:
        st.caption(plain(how_many(found)))
    for use in found.items:
        _use(use)
    with st.container(horizontal=True):
        if "cursor" in st.query_params and st.button("Newest runs", icon=":material/first_page:"):
            del st.query_params["cursor"]
            st.rerun()
        if found.next_cursor and st.button("Older runs", icon=":material/chevron_right:"):
            st.query_params["cursor"] = found.next_cursor
            st.rerun()


def how_many(usage: DatasetUsage) -> str:
    """``12 runs: 10 succeeded, 2 failed``."""
    total = sum(usage.states.values())
    parts = ", ".join(f"{many:,} {state}" for state, many in sorted(usage.states.items()))
    return f"{total:,} {'run' if total == 1 else 'runs'}: {parts}"


def read(use: DatasetUse) -> str:
    """Markdown of the version that a run read."""
    if use.version is not None:
        return f":gray-badge[version {use.version}]"
    if use.sha256 is None:
        return ":gray-badge[not read yet]"
    after = f", after version {use.newest}" if use.newest is not None else ""
    return f":orange-badge[:material/warning: version unknown{after}]"


def _use(use: DatasetUse) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"use-{use.run_id}"):
        st.page_link(
            "views/run/page.py", label=plain(use.name), width="content", query_params={"run": str(use.run_id)}
        )
        st.markdown(f"{badge(use.state)} {read(use)}", width="content")
        st.caption(f"{use.stage}, {use.created_at:%Y-%m-%d %H:%M} UTC", width="content")


def remove_button(one: DatasetView) -> None:
    """Opens the dialog that shows which runs read the data set before it is removed."""
    if st.button("Remove", icon=":material/delete:", key="remove"):
        _remove(one.id, one.name)


@st.dialog("Remove this data set?")
def _remove(dataset_id: UUID, name: str) -> None:
    with show_errors():
        usage = client().dataset_runs(dataset_id, limit=NEWEST)
        st.write(
            f"The entry **{plain(name)}** and its list of versions go. Files and runs stay, and each run keeps the "
            "name and the version of what it read."
        )
        total = sum(usage.states.values())
        if total:
            st.write(f"It was read by **{plain(how_many(usage))}**. The newest:")
            for use in usage.items:
                _use(use)
        else:
            st.write("No run has read it.")
        live = sum(many for state, many in usage.states.items() if not RunState(state).final)
        if live:
            st.warning("Runs that are not over need it: cancel them, or wait for their end.")
        with st.container(horizontal=True):
            if st.button("Remove it", type="primary", icon=":material/delete:", disabled=bool(live)):
                client().delete_dataset(dataset_id)
                st.query_params.clear()
                st.rerun()
            if st.button("Keep it"):
                st.rerun()
