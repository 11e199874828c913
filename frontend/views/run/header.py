"""The header of a run's page: name, state, progress, actions, notes, data, leading metrics and steps."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import link_to, page_title
from frontend.components.run_rows import progress_bar, run_rows
from frontend.formatting import number, plain
from frontend.session import can_edit, client, show_errors
from frontend.style import deleted_inputs_badge, status_badge, status_sentence, synthetic_badge
from frontend.views.run.actions import run_actions
from frontend.views.run.datasets import run_datasets
from frontend.views.run.notes import run_notes
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView

MOST_STEPS = 30


def run_header(before: RunView) -> None:
    """Draw the run as it is now; the whole page is drawn again once it has ended (``before``: as it was)."""
    with show_errors():
        run = client().run(before.id)
        if run.state.final and not before.state.final:
            st.rerun()
        _title(run)
        if run.state is RunState.failed:
            _failure(run)
        elif run.state is RunState.paused:
            st.info(
                "Paused. The run occupies no worker. Resume it to continue from the last saved state.",
                icon=":material/pause_circle:",
            )
        progress_bar(run)
        if run.max_hours is not None:
            st.caption(f"Time limit of an attempt: {number(run.max_hours)} h")
        if can_edit():
            run_actions(run)
        run_notes(run)
        run_datasets(run)
        if run.headline:
            with st.container(horizontal=True, gap="large"):
                for key, value in run.headline.items():
                    st.metric(plain(key.replace("_", " ")), number(value), width="content")
        _steps(run)


def _title(run: RunView) -> None:
    sentence = status_sentence(run)
    if run.state is RunState.failed and run.reason:
        # The box below shows the reason.
        sentence = sentence.removesuffix(run.reason).rstrip("; ")
    badges = f"{status_badge(run)}{synthetic_badge(run.synthetic)}{deleted_inputs_badge(run.deleted_inputs)}"
    page_title(plain(run.name), f":gray[{run.stage or run.kind}] {plain(sentence)}", badges=badges)


def _failure(run: RunView) -> None:
    """The reason, the number of attempts, and the end of the traceback."""
    attempts = "1 attempt" if run.attempt == 1 else f"{run.attempt} attempts"
    worker = f", the last on {plain(run.worker)}" if run.worker else ""
    reason = plain(run.reason or "Failed without an error message.")
    st.error(f"**{reason}**  \n{attempts}{worker}.", icon=":material/error:")
    if run.error:
        with st.expander("End of the traceback", expanded=True):
            st.code("\n".join(run.error.rstrip().splitlines()[-30:]), language="python", wrap_lines=True)


def _steps(run: RunView) -> None:
    """The runs of a recipe or a sweep."""
    if not run.children:
        return
    st.header("Steps", anchor=False)
    run_rows(run.children[:MOST_STEPS], mark=False)
    if len(run.children) > MOST_STEPS:
        link_to("runs", f"All {len(run.children)} steps", {"parent": str(run.id)})
