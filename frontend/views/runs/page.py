"""Runs: the list of all runs with search, grouping, columns, saved views and actions on several runs."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from frontend.components.layout import page_title
from frontend.formatting import count
from frontend.navigation import PAGES
from frontend.session import changeable, client, show_errors
from frontend.views.runs.bulk import bulk_bar, bulk_outcome
from frontend.views.runs.columns import column_select, shown_columns
from frontend.views.runs.empty import empty_list
from frontend.views.runs.list_state import NEWEST_FIRST, read_state, write_state
from frontend.views.runs.query_box import query_box
from frontend.views.runs.rows import group_row, run_row
from frontend.views.runs.run_table import run_table
from frontend.views.runs.saved_views import saved_views
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Owned
from vise_client.schemas.run_lists import RunListState, Vocabulary
from vise_client.schemas.runs import RunUpdate

PAGE = 25


@st.cache_data(ttl=60, show_spinner=False, max_entries=20)
def load_vocabulary(_vise: ViseClient) -> Vocabulary:
    """Return what queries can name, loaded once a minute: fields, metrics and tags change slowly."""
    return _vise.vocabulary()


def search(state: RunListState) -> None:
    """Draw the query box; a new query is written to the address."""
    query = query_box(state.query, vocabulary)
    if query is not None and query != state.query:
        write_state(state.model_copy(update={"query": query[:2000]}))
        st.rerun()


def toolbar(state: RunListState) -> None:
    """Draw grouping, nesting, columns and views; the page is drawn again when one of them changes."""
    with st.container(horizontal=True, vertical_alignment="center", key="runs-tools"):
        grouped = st.toggle(
            "Group replicates",
            state.grouped,
            help="Runs that differ only by seeds and splits become one row: mean ± sample standard deviation (n).",
        )
        nested = st.toggle(
            "Show nested runs",
            state.nested or grouped,
            disabled=grouped,
            help="Include the runs inside recipes and sweeps.",
        )
        with st.popover("Columns", icon=":material/view_column:"):
            changed = column_select(state, vocabulary) if vocabulary.fields else state
        with st.popover("Views", icon=":material/bookmarks:"):
            opened = saved_views(state)
    if grouped != state.grouped:
        changed = state.model_copy(update={"grouped": grouped, "columns": [], "sort": NEWEST_FIRST})
    elif nested != state.nested and not grouped:
        changed = state.model_copy(update={"nested": nested})
    changed = opened or changed
    if changed != state:
        write_state(changed)
        st.rerun()


@st.fragment(run_every=3)
def run_list() -> None:
    """Draw the table, refreshed every few seconds, and handle what the user does in it."""
    state, cursor, opened = read_state(), st.query_params.get("cursor"), st.query_params.get_all("open")
    columns = shown_columns(state, vocabulary)
    with show_errors():
        rows, total, next_cursor = load_rows(state, columns, cursor, opened)
        if not rows:
            empty_list(state, cursor)
            return
        own = changeable(Owned.run, [row["key"] for row in rows if row["kind"] != "group"])
        rows = [row | {"editable": row["key"] in own} for row in rows]
        bulk_outcome()
        n_actions = st.session_state.setdefault("bulk-actions", 0)
        bar = st.container()
        event = run_table(
            rows,
            columns,
            sort=state.sort,
            grouped=state.grouped,
            # A new search or a bulk action clears the selection: no action meets runs that are out of sight.
            epoch=f"{n_actions} {state.grouped} {state.nested} {state.query}",
            label="Groups of runs" if state.grouped else "Runs",
        )
        with bar:
            if bulk_bar(event.selected):
                st.session_state["bulk-actions"] += 1
                rerun_list()
        paging(state, cursor, opened, total, next_cursor)
        if event.followed:
            st.switch_page(PAGES["run"].view, query_params={"run": event.followed})
        if event.starred:
            client().update_run(event.starred["id"], RunUpdate(starred=event.starred["starred"]))
            rerun_list()
        if event.sort:
            write_state(state.model_copy(update={"sort": event.sort}), opened=opened)
            rerun_list()
        if event.toggled:
            key = event.toggled.removeprefix("group:")
            opened = [k for k in opened if k != key] if key in opened else [*opened, key]
            write_state(state, cursor=cursor, opened=opened)
            rerun_list()


def rerun_list() -> None:
    """Draw the list again; the whole page where Streamlit is drawing all of it."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()


def load_rows(
    state: RunListState, columns: list[str], cursor: str | None, opened: list[str]
) -> tuple[list[dict[str, Any]], int, str | None]:
    """Return (rows of the page, number of rows on all pages, cursor of the next page)."""
    values = [column for column in columns if "." in column]
    if not state.grouped:
        page = client().runs(
            query=state.query,
            sort=state.sort,
            column=values,
            cursor=cursor,
            limit=PAGE,
            count=True,
            all=state.nested,
        )
        return [run_row(run, columns) for run in page.items], page.total or 0, page.next_cursor
    groups = client().run_groups(
        query=state.query, sort=state.sort, column=values, cursor=cursor, limit=PAGE, count=True
    )
    rows = []
    for group in groups.items:
        rows.append(group_row(group, columns, open=group.group_key in opened))
        if group.group_key in opened:
            query = f"group = {group.group_key} and not archived"
            members = client().runs(query=query, all=True, column=values, limit=100)
            rows += [run_row(run, columns, member=True) for run in members.items]
    return rows, groups.total or 0, groups.next_cursor


def paging(
    state: RunListState, cursor: str | None, opened: list[str], total: int, next_cursor: str | None
) -> None:
    """Draw the buttons to other pages."""
    with st.container(horizontal=True, vertical_alignment="center", key="runs-pager"):
        if cursor and st.button("First page", icon=":material/first_page:"):
            write_state(state, opened=opened)
            rerun_list()
        if next_cursor and st.button("Next page", icon=":material/arrow_forward:"):
            write_state(state, cursor=next_cursor, opened=opened)
            rerun_list()
        st.caption(f"{count(total, 'group' if state.grouped else 'run')} in total")


page_title("Runs", "All runs: search, group, compare and manage them.")
vocabulary = Vocabulary(fields=[], specs={}, metrics=[], tags=[], rules={})
with show_errors():
    vocabulary = load_vocabulary(client())
search(read_state())
toolbar(read_state())
run_list()
