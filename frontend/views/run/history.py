"""The history of a run: its events in order."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from frontend.formatting import duration, plain
from frontend.session import client, show_errors
from frontend.style import badge
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView


def run_history(run: RunView) -> None:
    """Draw a table of the events, and how often workers claimed the run."""
    with show_errors():
        events = client().events(run.id)
        if run.kind == "stage":
            claims = sum(event.to_state == RunState.running.value for event in events)
            times = "once" if claims == 1 else f"{claims} times"
            st.write(f"Claimed {times} by a worker." if claims else "Not claimed by a worker yet.")
        before: datetime | None = None
        rows = []
        for event in events:
            passed = "" if before is None else f"{duration((event.at - before).total_seconds())} later"
            before = event.at
            detail = plain(event.detail) or "–"
            rows.append(
                f"| {event.at:%Y-%m-%d %H:%M:%S} | {passed} | {badge(RunState(event.to_state))} | {detail} |"
            )
        st.markdown("\n".join(["| Time (UTC) | | State | Event |", "|---|---|---|---|", *rows]))
