"""The button that removes a data set, after a dialog with the runs that read it."""

from __future__ import annotations

import streamlit as st

from frontend.components.confirm import confirm_or_keep
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.views.data.runs import states, use_row
from vise_client.schemas.datasets import DatasetView
from vise_client.schemas.run_states import RunState

SHOWN = 5
"""Runs that the dialog names."""


def remove_button(data_set: DatasetView) -> None:
    """Draw the button that removes a data set, after a confirmation."""
    if st.button("Remove", icon=":material/delete:", key="remove"):
        _dialog(data_set)


@st.dialog("Remove this data set?")
def _dialog(data_set: DatasetView) -> None:
    with show_errors():
        usage = client().dataset_runs(data_set.id, limit=SHOWN)
        st.write(
            f"This removes the entry **{plain(data_set.name)}** and its list of versions. {data_set.what_removal_does} "
            "Each run keeps the name and the version of the data that it read."
        )
        if usage.states:
            st.write(f"**{plain(states(usage))}** read this data set. The newest:")
            for use in usage.items:
                use_row(use)
        else:
            st.write("No run has read this data set.")
        unfinished = any(n and not RunState(state).final for state, n in usage.states.items())
        if unfinished:
            st.warning("Unfinished runs need this data set. Cancel them, or wait until they end.")

        def remove() -> None:
            client().delete_dataset(data_set.id)
            st.query_params.clear()

        confirm_or_keep("Remove data set", remove, disabled=unfinished)
