"""The time limit of the runs of a launch."""

from __future__ import annotations

import streamlit as st

from vise_client.schemas.launch import MAX_HOURS

LEAST_HOURS = 0.01


def time_limit(initial: float | None, key: str) -> float | None:
    """Draw the field of the time limit, in hours; return None where it is empty: the server's limit holds."""
    # Only a field whose default is empty can be emptied.
    st.session_state.setdefault(key, initial)
    return st.number_input(
        "Time limit (hours)",
        # A run to clone may have less: the API takes any positive number.
        min_value=min(LEAST_HOURS, initial or LEAST_HOURS),
        max_value=MAX_HOURS,
        value=None,
        step=1.0,
        format="%g",
        placeholder="the server's limit",
        help="A run is stopped and fails when an attempt takes longer. Retry it to continue from its saved state.",
        key=key,
    )
