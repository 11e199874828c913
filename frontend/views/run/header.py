"""The head of a run's page: what it is, how it stands, what one can do with it, its few numbers, its steps."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import streamlit as st

from frontend.components.layout import page_title
from frontend.components.run_rows import run_rows
from frontend.formatting import duration, number, plain
from frontend.session import can_edit, client, show_errors
from frontend.style import status_badge, status_sentence, synthetic_badge
from frontend.views.run.datasets import run_data
from frontend.views.run.notes import run_about
from vise_client.schemas.launch import RunClone
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView

MOST_STEPS = 30
GOING = (RunState.running, RunState.pausing, RunState.cancelling)


def run_head(run_id: UUID, drawn: RunState) -> None:
    """Asked anew while the run is not over; when it is, the whole page is drawn again (``drawn``: as it was)."""
    with show_errors():
        run = client().run(run_id)
        if run.state.final and not drawn.final:
            st.rerun()
        badges = f"{status_badge(run)}{synthetic_badge(run.synthetic)}"
        told = status_sentence(run)
        if run.state is RunState.failed and run.reason:
            # Why it failed stands in the box below.
            told = told.removesuffix(run.reason).rstrip("; ")
        page_title(plain(run.name), f":gray[{run.stage or run.kind}] {plain(told)}", badges=badges)
        if run.state is RunState.failed:
            failure(run)
        elif run.state is RunState.paused:
            st.info(
                "Paused. It holds no worker; resumed, it goes on from the state that it last saved.",
                icon=":material/pause_circle:",
            )
        progress(run)
        editable = can_edit()
        if editable:
            actions(run)
        run_about(run, editable=editable)
        run_data(run)
        if run.headline:
            with st.container(horizontal=True, gap="large"):
                for key, value in run.headline.items():
                    st.metric(key.replace("_", " "), number(value), width="content")
        if run.children:
            st.header("Steps", anchor=False)
            run_rows(run.children[:MOST_STEPS], mark=False)
            if len(run.children) > MOST_STEPS:
                st.page_link(
                    "views/runs/page.py",
                    label=f"All {len(run.children)} steps",
                    icon=":material/list:",
                    query_params={"parent": str(run.id)},
                )


def failure(run: RunView) -> None:
    """The reason in a sentence, how often it was tried, and the end of the traceback."""
    attempts = "once" if run.attempt == 1 else f"{run.attempt} times"
    st.error(
        f"**{plain(run.reason or 'It failed and said nothing.')}**  \nTaken up {attempts}"
        + (f", last by {plain(run.worker)}." if run.worker else "."),
        icon=":material/error:",
    )
    if run.error:
        with st.expander("End of the traceback", expanded=True):
            st.code("\n".join(run.error.rstrip().splitlines()[-30:]), language="python", wrap_lines=True)


def progress(run: RunView) -> None:
    """How far it is and, once that can be said, how long it will still take."""
    told = run.progress
    if told is None or (run.state not in GOING and run.state is not RunState.paused):
        return
    what = plain(told.phase or told.unit)
    if not told.total:
        st.caption(f"{what}: {told.done:,.0f} {plain(told.unit)}")
        return
    text = f"{what}: {told.done:,.0f} of {told.total:,.0f} {plain(told.unit)}"
    if told.seconds_left is not None and run.state is RunState.running:
        text += f" · about {duration(told.seconds_left)} left at this pace"
    st.progress(min(1.0, told.done / told.total), text=text)


def actions(run: RunView) -> None:
    """Buttons for what is possible in this state."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.state in (RunState.waiting, RunState.queued, RunState.running):
            _button("Pause", ":material/pause:", lambda: client().pause(run.id), "Save its state and rest.")
        if run.state is RunState.paused:
            _button("Resume", ":material/play_arrow:", lambda: client().resume(run.id), "Go on where it was.")
        if not run.state.final and run.state is not RunState.cancelling:
            _button("Cancel", ":material/stop:", lambda: client().cancel(run.id), "Save its state and end.")
        if run.state in (RunState.failed, RunState.cancelled):
            _button(
                "Retry",
                ":material/replay:",
                lambda: client().retry(run.id),
                "Again, from the last saved state.",
            )
        if st.button("Run again", icon=":material/content_copy:", help="A new run, the same in every field."):
            made = client().clone(run.id, RunClone())
            st.query_params.from_dict({"run": str(made.id)})
            st.rerun()
        if run.kind == "stage":
            st.page_link(
                "views/launch/page.py",
                label="Clone and edit",
                icon=":material/edit:",
                query_params={"clone": str(run.id)},
                help="The launch page, filled with this run's spec and inputs.",
            )
            st.page_link(
                "views/compare/page.py",
                label="Compare",
                icon=":material/compare_arrows:",
                query_params={"run": str(run.id)},
                help="Lay it beside other runs.",
            )


def _button(label: str, icon: str, act: Callable[[], RunView], told: str) -> None:
    if st.button(label, icon=icon, help=told):
        act()
        st.rerun()
