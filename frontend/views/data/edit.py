"""The form that edits the name and the description of a data set."""

from __future__ import annotations

import streamlit as st

from frontend.session import client, show_errors
from vise_client.schemas.datasets import DatasetUpdate, DatasetView


def edit_form(data_set: DatasetView) -> None:
    """The form in a popover."""
    with (
        st.popover("Name, description", icon=":material/edit_note:"),
        st.form(f"edit-{data_set.id}", border=False),
    ):
        name = st.text_input("Name", data_set.name, max_chars=120)
        description = st.text_area("Description", data_set.description, max_chars=2000, height=120)
        if not st.form_submit_button("Save", type="primary"):
            return
        if not name.strip():
            st.error("A data set needs a name.")
            return
        with show_errors():
            client().update_dataset(data_set.id, DatasetUpdate(name=name.strip(), description=description))
            st.rerun()
