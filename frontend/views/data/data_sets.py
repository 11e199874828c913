"""The list of registered data sets."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty
from frontend.components.paging import paged_list
from frontend.formatting import count, plain
from frontend.session import client
from frontend.style import synthetic_badge
from frontend.views.data.summary import counts, kind_and_badges
from vise_client.schemas.datasets import DatasetView


def data_sets() -> None:
    """Draw one page of data sets, with search."""
    paged_list("data sets", "Search by name", client().datasets, _row, _no_data_sets)


def _no_data_sets() -> None:
    empty(
        "No data sets yet",
        "Upload an archive, or register a folder or a URL, under Add. Or generate synthetic posts and tasks.",
        page="launch",
        label="Generate sample data",
        query={"what": "ingest", "preset": "Sample data (synthetic)"},
    )


def _row(data_set: DatasetView) -> None:
    with st.container(border=True, key=f"row-{data_set.id}"):
        query = {"dataset": str(data_set.id)}
        st.page_link("views/data/page.py", label=f"**{plain(data_set.name)}**", query_params=query)
        marks = synthetic_badge(data_set.synthetic)
        if data_set.survey is not None and data_set.survey.warnings:
            warnings = count(len(data_set.survey.warnings), "warning")
            marks += f" :orange-badge[:material/warning: {warnings}]"
        st.markdown(f"{kind_and_badges(data_set)}{marks}")
        st.caption(plain(counts(data_set)))
