"""The runs that read a data set, and the version that each of them read."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty
from frontend.components.paging import cursor_buttons
from frontend.formatting import count, minute, plain
from frontend.session import client
from frontend.style import badge
from vise_client.schemas.datasets import DatasetUsage, DatasetUse, DatasetView

PAGE = 10


def data_set_runs(data_set: DatasetView) -> None:
    """Draw one page of the runs that read a data set, newest first; of one version if the address names one."""
    st.subheader("Runs that read this data set", anchor=False)
    version = st.query_params.get("version", "")
    unknown, numbered = version == "unknown", version.isdecimal()
    usage = client().dataset_runs(
        data_set.id,
        version=int(version) if numbered else None,
        unknown=unknown,
        cursor=st.query_params.get("cursor"),
        limit=PAGE,
    )
    if unknown or numbered:
        label = "Unknown version" if unknown else f"Version {version}"
        if st.button(label, icon=":material/close:", help="Clear this filter and show all runs."):
            st.query_params.pop("version")
            st.query_params.pop("cursor", None)
            st.rerun()
    if usage.items:
        st.caption(plain(_states(usage)))
    else:
        empty("No runs yet", "Runs that read this data set appear here, with the version that they read.")
    for use in usage.items:
        _use_row(use)
    cursor_buttons(usage.next_cursor, things="runs")


def _states(usage: DatasetUsage) -> str:
    """Return the number of runs by state: ``12 runs: 10 succeeded, 2 failed``."""
    parts = ", ".join(f"{n:,} {state}" for state, n in sorted(usage.states.items()))
    return f"{count(sum(usage.states.values()), 'run')}: {parts}"


def _use_row(use: DatasetUse) -> None:
    """Draw a run: link, state, the version that it read, stage and time."""
    with st.container(horizontal=True, vertical_alignment="center"):
        query = {"run": str(use.run_id)}
        st.page_link("views/run/page.py", label=plain(use.name), width="content", query_params=query)
        st.markdown(f"{badge(use.state)} {_version(use)}", width="content")
        st.caption(f"{plain(use.stage or '')}, {minute(use.created_at)} UTC", width="content")


def _version(use: DatasetUse) -> str:
    """Markdown of the version that a run read."""
    if use.version is not None:
        return f":gray-badge[version {use.version}]"
    if use.sha256 is None:
        return ":gray-badge[not read yet]"
    after = f", after version {use.newest}" if use.newest is not None else ""
    return f":orange-badge[:material/warning: unknown version{after}]"
