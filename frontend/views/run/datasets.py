"""Which version of a data set a run read."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from vise_client.schemas.datasets import DatasetReadView
from vise_client.schemas.runs import RunView


def run_data(run: RunView) -> None:
    """A line for each data set, with what makes the version doubtful."""
    for role, read in run.datasets.items():
        with st.container(horizontal=True, vertical_alignment="center", key=f"data-{role}"):
            data_link(read, f"**{role}** {plain(read.label)}")
            if note := _note(read):
                st.markdown(note, width="content")


def data_link(read: DatasetReadView, label: str) -> None:
    """A link to the data set's page, which a removed one does not have."""
    if read.removed:
        st.markdown(f":material/database: {label}", width="content")
    else:
        query = {"dataset": str(read.dataset_id)}
        st.page_link(
            "views/data/page.py", label=label, icon=":material/database:", width="content", query_params=query
        )


def _note(read: DatasetReadView) -> str:
    """Markdown of what a reader of the results should know."""
    if read.sha256 is not None and read.version is None:
        told = "no version has the data that it read"
        if read.latest is not None and read.latest == read.newest:
            told += ": rescan the folder"
        return f":orange-badge[:material/warning: {told}]"
    if read.version is not None and read.latest is not None and read.latest > read.version:
        return f":gray-badge[its newest version is {read.latest}: running again reads that]"
    return ""
