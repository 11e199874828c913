"""The button that removes a data set, after a dialog with what was made from it."""

from __future__ import annotations

import streamlit as st

from frontend.components.derived import NAMED, confirm_deletion
from frontend.formatting import plain
from frontend.session import client, show_errors
from vise_client.schemas.datasets import DatasetView


def remove_button(data_set: DatasetView) -> None:
    """Draw the button that removes a data set, after a confirmation."""
    if st.button("Remove", icon=":material/delete:", key="remove"):
        _dialog(data_set)


@st.dialog("Remove this data set?", width="large")
def _dialog(data_set: DatasetView) -> None:
    with show_errors():
        derived = client().dataset_derived(data_set.id, limit=NAMED)
        st.write(
            f"This removes the entry **{plain(data_set.name)}** and its list of versions. {data_set.what_removal_does} "
            "Each run keeps the name and the version of the data that it read."
        )

        def remove() -> None:
            client().delete_dataset(data_set.id)
            st.query_params.clear()

        confirm_deletion("Remove data set", derived, remove)
