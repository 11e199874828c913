"""Home: the state of the system, the next step, and the newest runs and results."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, link_to, page_title
from frontend.components.run_rows import run_rows
from frontend.session import client, show_errors
from frontend.views.home.next_step import finished_steps, next_step
from frontend.views.home.sample_recipe import is_running, sample_recipe
from frontend.views.home.system import running_now, system_state


def recent_results() -> None:
    """Draw the newest evaluations."""
    st.header("Recent results", anchor=False)
    runs = client().runs(all=True, limit=4, stage="evaluate", state=["succeeded"]).items
    run_rows(runs)
    if runs:
        link_to("results", "All results")
        return
    empty(
        "No evaluation yet",
        "The metrics of the newest evaluations appear here.",
        page="launch",
        label="Launch an evaluation",
        query={"what": "evaluate"},
    )


def recent_runs() -> None:
    """Draw the newest runs."""
    st.header("Recent runs", anchor=False)
    runs = client().runs(limit=5).items
    run_rows(runs)
    if runs:
        link_to("runs", "All runs")
    else:
        empty("No runs yet", "Start with the sample recipe, or launch a stage.", page="launch")


page_title(
    "VisE Studio",
    "Learn image representations from visual engagement, and evaluate them on subjective vision tasks.",
)
with show_errors():
    system_state()
    # Looked up before the button is drawn, so that a second click cannot start a second recipe.
    sample_running = is_running()
    finished = finished_steps()
    new = not any(finished.values())
    # On a phone the first column comes first: for a new user, where to begin.
    begin, activity = st.columns([2, 3], gap="large") if new else st.columns([3, 2], gap="large")[::-1]
    with begin:
        if new:
            sample_recipe(sample_running, primary=True)
        st.header("Next step", anchor=False)
        next_step(finished)
        if not new:
            sample_recipe(sample_running, primary=not all(finished.values()))
    with activity:
        st.header("Running now", anchor=False)
        running_now(sample_running)
        recent_results()
        recent_runs()
