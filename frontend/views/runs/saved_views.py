"""Saved views of the run list: open, save, replace and delete them."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from frontend.session import can_edit, changeable, client, last_shown, show_errors
from vise_client.schemas.accounts import Owned
from vise_client.schemas.run_lists import RunListState, SavedViewCreate, SavedViewUpdate, SavedViewView


def saved_views(state: RunListState) -> RunListState | None:
    """Draw the list of views and the form that saves one; return the state of the view that was opened, else None."""
    opened = None
    with show_errors():
        views = client().views()
        changes = changeable(Owned.view, [view.id for view in views])
        if not views:
            st.caption("A view saves the search, columns, order and grouping under a name.")
        for view in views:
            with st.container(horizontal=True, vertical_alignment="center"):
                if _open_button(view):
                    opened = view.state
                if str(view.id) in changes:
                    _view_buttons(view, state)
        with st.form("save-view", border=False, clear_on_submit=True):
            name = st.text_input("Name of the view", max_chars=80)
            shared = st.checkbox("Visible to all users", disabled=not can_edit())
            if st.form_submit_button("Save view") and name.strip():
                client().save_view(SavedViewCreate(name=name.strip(), state=state, shared=shared))
                st.rerun()
        st.caption("The address of this page is a link to this list.")
    return opened


def _open_button(view: SavedViewView) -> bool:
    owner = "" if view.mine else f" ({view.owner})"
    icon = ":material/group:" if view.shared else ":material/bookmark:"
    return st.button(
        plain(f"{view.name}{owner}"), key=f"view-{view.id}", icon=icon, help=plain(view.state.query) or None
    )


def _view_buttons(view: SavedViewView, state: RunListState) -> None:
    help = "Save the current search, columns, order and grouping under this name."
    shown = last_shown(f"shown-{view.id}", {"state": view.state.model_dump()})
    if st.button("Replace", key=f"replace-{view.id}", help=help) and (
        change := SavedViewUpdate.of_changes(shown, {"state": state.model_dump()})
    ):
        client().update_view(view.id, change)
        st.toast(f"{plain(view.name)} is replaced.")
    if st.button("Delete", key=f"delete-{view.id}"):
        client().delete_view(view.id)
        st.rerun()
