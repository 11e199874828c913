"""The form that edits the name and the description of a data set."""

from __future__ import annotations

import streamlit as st

from frontend.session import client, last_shown, show_errors
from vise_client.schemas.datasets import DatasetUpdate, DatasetView


def edit_form(data_set: DatasetView) -> None:
    """Draw a popover with a form for the name and description of a data set."""
    with (
        st.popover("Name, description", icon=":material/edit_note:"),
        st.form(f"edit-{data_set.id}", border=False),
    ):
        shown = last_shown(
            f"shown-{data_set.id}", {"name": data_set.name, "description": data_set.description}
        )
        name = st.text_input("Name", data_set.name, max_chars=120)
        description = st.text_area("Description", data_set.description, max_chars=2000, height=120)
        if not st.form_submit_button("Save", type="primary"):
            return
        if not name.strip():
            st.error("A data set needs a name.")
            return
        change = DatasetUpdate.of_changes(shown, {"name": name.strip(), "description": description})
        with show_errors():
            if change is not None:
                client().update_dataset(data_set.id, change)
            st.rerun()
