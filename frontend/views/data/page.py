"""Data: what there is to learn from and to judge on, what is wrong with it, and how more comes in."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.components.paging import cursor_buttons, page_buttons, page_number, search_box
from frontend.formatting import headline, plain
from frontend.session import client, query_id, show_errors
from frontend.style import synthetic_badge
from frontend.views.data.add import add_data_set
from frontend.views.data.data_set import data_set
from frontend.views.data.summary import counts, kind_and_marks
from vise_client.schemas.datasets import DatasetView

PAGE = 20
# Stages whose runs make data of their own.
COLLECTIONS = ("ingest", "sample_tasks")
TABS = ("Data sets", "Made by runs", "Add")


def data_sets() -> None:
    """One page of registered data sets, with search."""
    search = search_box("Search data sets", "Search by name")
    number = page_number()
    found = client().datasets(search=search, offset=PAGE * number, limit=PAGE + 1)
    if not found and not search and number == 0:
        empty(
            "No data set is registered yet.",
            "Upload an archive or name a folder or an address under Add; or generate synthetic posts and tasks.",
            page="launch",
            label="Generate sample data",
            query={"what": "ingest", "preset": "Sample data (synthetic)"},
        )
    elif not found:
        st.info("No data set matches. Search for something else.")
    for one in found[:PAGE]:
        _row(one)
    page_buttons(number, more=len(found) > PAGE)


def _row(one: DatasetView) -> None:
    with st.container(border=True, key=f"row-{one.id}"):
        st.page_link(
            "views/data/page.py", label=f"**{plain(one.name)}**", query_params={"dataset": str(one.id)}
        )
        marks = synthetic_badge(one.synthetic)
        if one.found is not None and one.found.warnings:
            many = len(one.found.warnings)
            marks += f" :orange-badge[:material/warning: {many} warning{'s' if many > 1 else ''}]"
        st.markdown(f"{kind_and_marks(one)}{marks}")
        st.caption(counts(one))


def collections() -> None:
    """Posts and tasks that runs made: counts and refusals, newest first."""
    stage = st.segmented_control(
        "Made by",
        COLLECTIONS,
        default=COLLECTIONS[0],
        format_func=lambda name: name.replace("_", " "),
        key="data.stage",
    )
    page = client().runs(
        stage=stage or COLLECTIONS[0],
        state=["succeeded"],
        all=True,
        limit=PAGE,
        cursor=st.query_params.get("cursor"),
    )
    if not page.items:
        empty(
            "No posts have been taken in yet.",
            "Ingest checks posts and writes shards; sample data needs no files.",
            page="launch",
            label="Ingest posts",
            query={"what": "ingest"},
        )
    for run in page.items:
        with st.container(border=True, key=f"row-{run.id}"):
            st.page_link(
                "views/run/page.py", label=f"**{plain(run.name)}**", query_params={"run": str(run.id)}
            )
            refused = int(run.headline.get("refused", 0))
            mark = f" :orange-badge[:material/warning: {refused:,} rejected]" if refused else ""
            st.markdown(f"{headline(run.headline)}{mark}{synthetic_badge(run.synthetic)}")
            if run.stage == "ingest":
                st.page_link(
                    "views/launch/page.py",
                    label="Survey it",
                    icon=":material/search:",
                    query_params={
                        "what": "survey",
                        "spec": '{"kind":"posts"}',
                        "in_dataset": f"{run.id}:posts",
                    },
                )
    cursor_buttons(page.next_cursor)


page_title("Data", "Data sets and posts: counts, balance, samples, and what is wrong with them.")
with show_errors():
    wanted = query_id("dataset")
    if wanted is not None:
        data_set(wanted)
    else:
        start = st.query_params.get("tab", TABS[0])
        tab = st.segmented_control(
            "Show",
            TABS,
            default=start if start in TABS else TABS[0],
            label_visibility="collapsed",
            key="data.tab",
        )
        if (tab or TABS[0]) != start:
            st.query_params.from_dict({"tab": tab or TABS[0]})
        {"Data sets": data_sets, "Made by runs": collections, "Add": add_data_set}[tab or TABS[0]]()
