"""Posts and tasks that runs ingested or generated."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, link_to
from frontend.components.paging import cursor_buttons
from frontend.formatting import headline, plain
from frontend.session import client
from frontend.style import synthetic_badge
from vise_client.schemas.runs import RunSummary

PAGE = 20
STAGES = ("ingest", "sample_tasks")
"""Stages whose runs make data."""


def collections() -> None:
    """Draw the runs of one stage with their counts, newest first."""
    stage = st.segmented_control(
        "Made by",
        STAGES,
        default=STAGES[0],
        required=True,
        format_func=lambda name: name.replace("_", " "),
        key="data.stage",
    )
    page = client().runs(
        stage=stage, state=["succeeded"], all=True, limit=PAGE, cursor=st.query_params.get("cursor")
    )
    if not page.items:
        empty(
            "No posts yet",
            "The stage Ingest checks posts and writes them as shards, which appear here. Sample data needs no files.",
            page="launch",
            label="Ingest posts",
            query={"what": "ingest"},
        )
    for run in page.items:
        _row(run)
    cursor_buttons(page.next_cursor)


def _row(run: RunSummary) -> None:
    with st.container(border=True, key=f"row-{run.id}"):
        st.page_link("views/run/page.py", label=f"**{plain(run.name)}**", query_params={"run": str(run.id)})
        rejected = int(run.headline.get("rejected", 0))
        mark = f" :orange-badge[:material/warning: {rejected:,} rejected]" if rejected else ""
        st.markdown(f"{plain(headline(run.headline))}{mark}{synthetic_badge(run.synthetic)}")
        if run.stage == "ingest":
            query = {"what": "survey", "spec": '{"kind":"posts"}', "in_dataset": f"{run.id}:posts"}
            link_to("launch", "Survey these posts", query, icon=":material/search:")
