"""What happened to a run, in order."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from frontend.formatting import duration, plain
from frontend.session import client, show_errors
from frontend.style import badge
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView


def run_history(run: RunView) -> None:
    """A timeline of its events, and how often it was taken up."""
    with show_errors():
        events = client().events(run.id)
        taken = sum(e.to_state == RunState.running.value for e in events)
        if run.kind == "stage":
            times = "once" if taken == 1 else f"{taken} times"
            st.write(f"Taken up by a worker {times}." if taken else "No worker has taken it up yet.")
        before: datetime | None = None
        rows = []
        for event in events:
            passed = "" if before is None else f"{duration((event.at - before).total_seconds())} later"
            before = event.at
            state = badge(RunState(event.to_state))
            told = plain(event.detail) or "no detail"
            rows.append(f"| {event.at:%Y-%m-%d %H:%M:%S} | {passed} | {state} | {told} |")
        st.markdown("\n".join(["| When (UTC) | | State | What happened |", "|---|---|---|---|", *rows]))
