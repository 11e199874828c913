"""The data sets that a run read, each with its version."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from vise_client.schemas.datasets import DatasetReadView
from vise_client.schemas.runs import RunView


def run_datasets(run: RunView) -> None:
    """Draw a line for each data set, with a note where the version is unknown or outdated."""
    for role, read in run.datasets.items():
        with st.container(horizontal=True, vertical_alignment="center", key=f"data-{role}"):
            data_set_link(read, f"**{plain(role)}** {plain(read.label)}")
            if note := _note(read):
                st.markdown(note, width="content")


def data_set_link(read: DatasetReadView, label: str) -> None:
    """Draw a link to the data set's page; plain text if it was removed."""
    if read.removed:
        st.markdown(f":material/database: {label}", width="content")
        return
    query = {"dataset": str(read.dataset_id)}
    st.page_link(
        "views/data/page.py", label=label, icon=":material/database:", width="content", query_params=query
    )


def _note(read: DatasetReadView) -> str:
    """Markdown of a badge, or nothing."""
    if read.sha256 is not None and read.version is None:
        rescan = ": rescan the folder" if read.latest is not None and read.latest == read.newest else ""
        return f":orange-badge[:material/warning: no version matches the data that was read{rescan}]"
    if read.version is not None and read.latest is not None and read.latest > read.version:
        return f":gray-badge[the newest version is {read.latest}; a new run reads it]"
    return ""
