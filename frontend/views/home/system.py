"""The state of the system and the runs that are unfinished, refreshed every few seconds."""

from __future__ import annotations

import streamlit as st

from frontend.components.health import part_problems
from frontend.components.layout import problem
from frontend.components.run_rows import run_lines, run_rows
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.views.home.sample_recipe import UNFINISHED

MOST_QUEUED = 200
REFRESH_SECONDS = 4


@st.fragment(run_every=REFRESH_SECONDS)
def system_state() -> None:
    """Draw the state of database, broker, workers and queues, with each problem."""
    with show_errors():
        health = client().health()
        # First, since nothing else responds without the database.
        part_problems(health)
        workers = [worker for worker in client().workers() if worker.alive]
        queued = client().runs(all=True, limit=MOST_QUEUED, state=["queued"], kind="stage").items
        with st.container(horizontal=True):
            for label, value in (
                ("API and database", "up" if health.database else "down"),
                ("Queue", "up" if health.broker else "down"),
                ("Workers", str(health.workers)),
                ("Queued runs", str(len(queued)) + ("+" if len(queued) == MOST_QUEUED else "")),
            ):
                st.metric(label, value, border=True, width=170)
        served = {queue for worker in workers for queue in worker.queues}
        if unserved := sorted({run.queue for run in queued} - served):
            problem(
                f"No worker serves the queue {plain(', '.join(unserved))}.", "Start one with `vise worker`."
            )


@st.fragment(run_every=2)
def running_now(sample_running: bool) -> None:
    """Draw the newest unfinished runs, and the steps of the first.

    ``sample_running``: whether the sample recipe ran when the page was drawn; once it has ended, the page is drawn
    again.
    """
    with show_errors():
        runs = client().runs(state=UNFINISHED, limit=5).items
        if sample_running and not any(run.kind == "recipe" and run.synthetic for run in runs):
            st.rerun()
        if not runs:
            st.caption("No runs are running or queued.")
            return
        run_rows(runs[:1])
        if runs[0].kind != "stage":
            run_lines(client().run(runs[0].id).children)
        run_rows(runs[1:])
