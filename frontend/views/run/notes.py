"""Tags, notes, star and archive mark of a run, and the form that edits them."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain, user_markdown
from frontend.session import client, last_shown, may_change, show_errors
from vise_client.schemas.accounts import Owned
from vise_client.schemas.runs import RunUpdate, RunView


def run_notes(run: RunView) -> None:
    """Draw the notes of a run, with a form for those who may change them."""
    marks = [":material/star:"] if run.starred else []
    marks += [":gray-badge[archived]"] if run.archived else []
    marks += [f":blue-badge[{plain(tag)}]" for tag in run.tags]
    if marks:
        st.markdown(" ".join(marks))
    if run.notes:
        with st.container(border=True):
            st.markdown(user_markdown(run.notes))
    if may_change(Owned.run, run.id):
        with st.popover("Name, tags, notes", icon=":material/edit_note:"):
            _form(run)


def _form(run: RunView) -> None:
    with st.form(f"notes-{run.id}", border=False):
        stored = run.model_dump(include={"name", "tags", "notes", "starred", "archived"})
        shown = last_shown(f"shown-{run.id}", stored)
        name = st.text_input("Name", run.name, max_chars=200)
        tags = st.multiselect("Tags", run.tags, default=run.tags, accept_new_options=True)
        notes = st.text_area("Notes", run.notes, max_chars=20_000, height=160, help="Markdown.")
        with st.container(horizontal=True):
            starred = st.toggle("Starred", run.starred)
            archived = st.toggle("Archived", run.archived, help="Archived runs are hidden in lists.")
        if not st.form_submit_button("Save", type="primary"):
            return
        if not name.strip():
            st.error("A run needs a name.")
            return
        values = {
            "name": name.strip(),
            "tags": tags,
            "notes": notes,
            "starred": starred,
            "archived": archived,
        }
        with show_errors():
            if (change := RunUpdate.of_changes(shown, values)) is not None:
                client().update_run(run.id, change)
            st.rerun()
