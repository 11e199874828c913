"""The actions on a run: pause, resume, cancel, retry, delete, run again, clone, compare."""

from __future__ import annotations

import streamlit as st

from frontend.components.derived import NAMED, confirm_deletion
from frontend.components.layout import link_to
from frontend.formatting import plain
from frontend.session import can_edit, client, may_change, show_errors
from vise_client.schemas.accounts import Owned
from vise_client.schemas.launch import RunClone
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView


def run_actions(run: RunView) -> None:
    """Draw a button for each action that the run's state and its owner permit."""
    owned = may_change(Owned.run, run.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        if owned:
            _state_actions(run)
        if can_edit() and st.button(
            "Run again", icon=":material/content_copy:", help="Start a new run with the same spec and inputs."
        ):
            started = client().clone(run.id, RunClone())
            st.query_params.from_dict({"run": str(started.id)})
            st.rerun()
        if run.kind == "stage":
            link_to(
                "launch",
                "Clone and edit",
                {"clone": str(run.id)},
                icon=":material/edit:",
                help="Open the launch page with this run's spec and inputs.",
            )
            link_to("compare", "Compare", {"run": str(run.id)}, help="Compare this run with other runs.")
        if owned and run.state.final and st.button("Delete", icon=":material/delete:", type="tertiary"):
            _delete_dialog(run)


def _state_actions(run: RunView) -> None:
    vise, state = client(), run.state
    if state in (RunState.waiting, RunState.queued, RunState.running) and st.button(
        "Pause", icon=":material/pause:", help="Save the state and free the worker."
    ):
        vise.pause(run.id)
        st.rerun()
    if state is RunState.paused and st.button(
        "Resume", icon=":material/play_arrow:", help="Continue from the last saved state."
    ):
        vise.resume(run.id)
        st.rerun()
    if (
        not state.final
        and state is not RunState.cancelling
        and st.button("Cancel", icon=":material/stop:", help="Save the state and end the run.")
    ):
        vise.cancel(run.id)
        st.rerun()
    if state in (RunState.failed, RunState.cancelled) and st.button(
        "Retry", icon=":material/replay:", help="Continue this run from the last saved state."
    ):
        vise.retry(run.id)
        st.rerun()


@st.dialog("Delete this run?", width="large")
def _delete_dialog(run: RunView) -> None:
    with show_errors():
        derived = client().run_derived(run.id, limit=NAMED)
        st.write(f"This deletes **{plain(run.name)}** for good, with its artifacts, curves and log.")

        def delete() -> None:
            client().delete_run(run.id)
            st.query_params.clear()

        confirm_deletion("Delete run", derived, delete)
