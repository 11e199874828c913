"""The log of a run: filtered and searched on the server, followed, paged, or taken home whole."""

from __future__ import annotations

from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.session import client, show_errors
from vise_client.schemas.runs import LogLevel, LogLine, RunView

LINES = 300
LEVELS: dict[str, LogLevel | None] = {"All": None, "Warnings": "warning", "Errors": "error"}


def run_log(run: RunView) -> None:
    """Controls, and the lines; new ones come by themselves while the run is at work and ``follow`` is on."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input(
            "Search the log",
            key="find",
            bind="query-params",
            placeholder="part of a line",
            type="search",
            width=280,
        )
        level = st.segmented_control(
            "Level", list(LEVELS), default="All", required=True, key="level", bind="query-params"
        )
        follow = True
        if not run.state.final:
            follow = st.toggle("Follow", True, key="follow", bind="query-params")
        st.download_button(
            "Whole log",
            partial(client().download_log, run.id),
            file_name=f"{run.id}.log",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
        )
    before = _before()
    live = follow and not run.state.final and before is None
    st.fragment(lines, run_every=2 if live else None)(run, search or None, LEVELS[level or "All"], before)


def lines(run: RunView, search: str | None, level: LogLevel | None, before: int | None) -> None:
    with show_errors():
        found = client().logs(run.id, after=-1, before=before, limit=LINES, search=search, level=level)
        if not found:
            if search or level:
                st.info("No line fits. Search for something else, or show all levels.")
            else:
                empty("Nothing was logged yet.", "Lines appear here as the run writes them.")
            return
        # Grows upwards like a terminal: the newest line is in sight.
        with st.container(height=460, autoscroll=True, key="log"):
            st.code("\n".join(map(_line, found)), language="log", wrap_lines=True)
        with st.container(horizontal=True):
            if len(found) == LINES and st.button("Earlier lines", icon=":material/arrow_upward:"):
                st.query_params["before"] = str(found[0].id)
                st.rerun()
            if before is not None and st.button("Newest lines", icon=":material/vertical_align_bottom:"):
                del st.query_params["before"]
                st.rerun()


def _line(line: LogLine) -> str:
    return f"{line.at:%H:%M:%S} {line.level.upper():7} {line.message}"


def _before() -> int | None:
    asked = st.query_params.get("before", "")
    return int(asked) if asked.isdecimal() and len(asked) < 19 else None
