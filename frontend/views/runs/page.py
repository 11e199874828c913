"""Runs: the table that researchers keep open, live."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from frontend.components.layout import empty, page_title
from frontend.navigation import PAGES
from frontend.session import can_edit, client, show_errors
from frontend.views.runs.list_state import (
    bulk_bar,
    column_chooser,
    read_look,
    saved_views,
    shown_columns,
    tell_outcomes,
    write_look,
)
from frontend.views.runs.query_box import query_box
from frontend.views.runs.run_table import group_data, run_data, run_table
from vise_client.client import ViseClient
from vise_client.schemas.run_lists import RunListState, Vocabulary
from vise_client.schemas.runs import RunUpdate

PAGE = 25


@st.cache_data(ttl=60, show_spinner=False, max_entries=20)
def vocabulary(_vise: ViseClient) -> Vocabulary:
    """Asked once a minute: what there is to search for changes slowly, and is the same for everybody."""
    return _vise.vocabulary()


page_title("Runs", "Everything that was started: search it, group it, watch it.")
st.session_state["may_edit"] = can_edit()
look = read_look()
words = Vocabulary(fields=[], specs={}, metrics=[], tags=[], rules={})
with show_errors():
    words = vocabulary(client())

asked = query_box(look.query, words)
if asked is not None and asked != look.query:
    write_look(look.model_copy(update={"query": asked[:2000]}))
    st.rerun()
with st.container(horizontal=True, vertical_alignment="center", key="runs-tools"):
    grouped = st.toggle(
        "Group seeds and splits",
        look.grouped,
        help="Runs with the same spec and inputs but for seeds and splits become one row: mean ± sample std (n).",
    )
    nested = st.toggle(
        "Inside recipes and sweeps",
        look.nested or grouped,
        disabled=grouped,
        help="Also the runs inside recipes and sweeps.",
    )
    with st.popover("Columns", icon=":material/view_column:"):
        changed = column_chooser(look, words) if words.fields else look
    with st.popover("Views", icon=":material/bookmarks:"):
        opened_view = saved_views(look, may_share=st.session_state["may_edit"])
if grouped != look.grouped:
    changed = look.model_copy(update={"grouped": grouped, "columns": [], "sort": "-created"})
elif nested != look.nested and not grouped:
    changed = look.model_copy(update={"nested": nested})
changed = opened_view or changed
if changed != look:
    write_look(changed)
    st.rerun()


@st.fragment(run_every=3)
def listing() -> None:
    look, cursor, opened = read_look(), st.query_params.get("cursor"), st.query_params.get_all("open")
    columns = shown_columns(look, words)
    with show_errors():
        rows, total, following = fetch(look, columns, cursor, opened)
        if not rows:
            nothing(look, cursor)
            return
        tell_outcomes()
        done = st.session_state.setdefault("bulk-done", 0)
        bar = st.container()
        acted = run_table(
            rows,
            columns,
            sort=look.sort,
            grouped=look.grouped,
            editable=st.session_state["may_edit"],
            # Another search is another list: what was chosen in the one before must not be acted on unseen.
            epoch=f"{done} {look.grouped} {look.nested} {look.query}",
            label="Groups of runs" if look.grouped else "Runs",
        )
        with bar:
            if bulk_bar(acted.chosen):
                st.session_state["bulk-done"] += 1
                again()
        pager(look, cursor, opened, total, following)
        if acted.went:
            st.switch_page(PAGES["run"].view, query_params={"run": acted.went})
        if acted.starred:
            client().update_run(acted.starred["id"], RunUpdate(starred=acted.starred["starred"]))
            again()
        if acted.sorted:
            write_look(look.model_copy(update={"sort": acted.sorted}), opened=opened)
            again()
        if acted.opened:
            key = acted.opened.removeprefix("group:")
            kept = [k for k in opened if k != key] if key in opened else [*opened, key]
            write_look(look, cursor=cursor, opened=kept)
            again()


def again() -> None:
    """The list anew; the whole page where Streamlit is drawing all of it just now."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()


def fetch(
    look: RunListState, columns: list[str], cursor: str | None, opened: list[str]
) -> tuple[list[dict[str, Any]], int, str | None]:
    """(rows, how many there are in all, cursor of the next page)."""
    extra = [c for c in columns if "." in c]
    asked: dict[str, Any] = {
        "query": look.query,
        "sort": look.sort,
        "column": extra,
        "cursor": cursor,
        "limit": PAGE,
        "count": True,
    }
    if not look.grouped:
        page = client().runs(**asked, all=look.nested)
        return [run_data(run, columns) for run in page.items], page.total or 0, page.next_cursor
    found = client().run_groups(**asked)
    rows = []
    for group in found.items:
        rows.append(group_data(group, columns, open=group.group_key in opened))
        if group.group_key in opened:
            members = client().runs(
                query=f"group = {group.group_key} and not archived", all=True, column=extra, limit=100
            )
            rows += [run_data(run, columns, member=True) for run in members.items]
    return rows, found.total or 0, found.next_cursor


def pager(
    look: RunListState, cursor: str | None, opened: list[str], total: int, following: str | None
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="runs-pager"):
        if cursor and st.button("First page", icon=":material/first_page:"):
            write_look(look, opened=opened)
            again()
        if following and st.button("Next page", icon=":material/arrow_forward:"):
            write_look(look, cursor=following, opened=opened)
            again()
        what = "group" if look.grouped else "run"
        st.caption(f"{total:,} {what}{'' if total == 1 else 's'} in all")


def nothing(look: RunListState, cursor: str | None) -> None:
    """Why the list is empty, and what to do next."""
    if cursor:
        empty(
            "This page has no runs any more.",
            "They were deleted or changed.",
            page="runs",
            label="First page",
        )
    elif look.query and not look.nested and not look.grouped:
        inside = client().runs(query=look.query, all=True, limit=1, count=True).total or 0
        if inside:
            query = {"query": look.query, "all": "true"}
            label = f"Show the {inside} inside recipes and sweeps"
            empty(
                "No run of its own fits.",
                "But runs inside recipes and sweeps do.",
                page="runs",
                label=label,
                query=query,
            )
        else:
            empty("No run fits the search.", "Change it, or look at all runs.", page="runs", label="All runs")
    elif look.query:
        empty("No run fits the search.", "Change it, or look at all runs.", page="runs", label="All runs")
    else:
        empty("Nothing was started yet.", "Start a stage, a recipe or the sample data.", page="launch")


listing()
