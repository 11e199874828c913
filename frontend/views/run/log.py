"""The log of a run: search and filter on the server, follow, page, download."""

from __future__ import annotations

from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.session import client, query_number, show_errors
from vise_client.schemas.runs import LogLevel, LogLine, RunView

LINES = 300
LEVELS: dict[str, LogLevel | None] = {"All": None, "Warnings": "warning", "Errors": "error"}


def run_log(run: RunView) -> None:
    """Draw the controls and lines of the log; they are refreshed while the run is unfinished and Follow is on."""
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
        follow = not run.state.final and st.toggle("Follow", True, key="follow", bind="query-params")
        st.download_button(
            "Download log",
            partial(client().download_log, run.id),
            file_name=f"{run.id}.log",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
        )
    before = query_number("before")
    live = follow and before is None
    st.fragment(lines, run_every=2 if live else None)(run, search or None, LEVELS[level], before)


def lines(run: RunView, search: str | None, level: LogLevel | None, before: int | None) -> None:
    """Draw the newest lines, or those before the line with the id ``before``."""
    with show_errors():
        page = client().logs(run.id, after=-1, before=before, limit=LINES, search=search, level=level)
        if not page:
            if search or level:
                st.info("No line matches. Change the search, or show all levels.")
            else:
                empty("No log lines yet", "Lines appear here when the run writes them.")
            return
        # Scrolls to the newest line, as a terminal does.
        with st.container(height=460, autoscroll=True, key="log"):
            st.code("\n".join(map(_line, page)), language="log", wrap_lines=True)
        with st.container(horizontal=True):
            if len(page) == LINES and st.button("Earlier lines", icon=":material/arrow_upward:"):
                st.query_params["before"] = str(page[0].id)
                st.rerun()
            if before is not None and st.button("Newest lines", icon=":material/vertical_align_bottom:"):
                del st.query_params["before"]
                st.rerun()


def _line(line: LogLine) -> str:
    return f"{line.at:%H:%M:%S} {line.level.upper():7} {line.message}"
