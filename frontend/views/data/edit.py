"""Renaming and describing a data set."""

from __future__ import annotations

import streamlit as st

from frontend.session import client, show_errors
from vise_client.schemas.datasets import DatasetUpdate, DatasetView


def about(one: DatasetView) -> None:
    """A form behind a button."""
    with (
        st.popover("Name, description", icon=":material/edit_note:"),
        st.form(f"about-{one.id}", border=False),
    ):
        name = st.text_input("Name", one.name, max_chars=120)
        description = st.text_area("Description", one.description, max_chars=2000, height=120)
        if st.form_submit_button("Save", type="primary"):
            if not name.strip():
                st.error("A data set needs a name.")
                return
            with show_errors():
                client().update_dataset(one.id, DatasetUpdate(name=name.strip(), description=description))
                st.rerun()
