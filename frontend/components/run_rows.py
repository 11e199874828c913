"""Runs as rows, for lists that fit on a phone too."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.style import badge, headline, status_sentence, synthetic_badge
from vise_client.schemas import RunState, RunSummary


def run_row(run: RunSummary, *, mark: bool = True) -> None:
    """Name (a link), state, what it means, progress, and the headline numbers."""
    with st.container(border=True):
        name, state = st.columns([3, 2], vertical_alignment="center")
        kind = run.stage or run.kind
        marks = synthetic_badge(run.synthetic) if mark else ""
        label = f"**{_escape(run.name)}** :gray[{kind}]{marks}"
        name.page_link("views/run.py", label=label, query_params={"run": str(run.id)})
        state.markdown(f"{badge(run.state)} :gray[{_escape(status_sentence(run))}]")
        if run.headline:
            st.caption(headline(run.headline))
        progress_bar(run)


def progress_bar(run: RunSummary) -> None:
    """The bar of a run that is at work, with what it is doing."""
    going = (RunState.running, RunState.cancelling, RunState.pausing, RunState.paused)
    if run.state not in going or run.progress is None:
        return
    progress = run.progress
    if progress.total:
        share = min(1.0, progress.done / progress.total)
        text = f"{progress.phase or progress.unit}: {progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"
        st.progress(share, text=text)
    else:
        st.caption(f"{progress.phase or 'working'}: {progress.done:,.0f} {progress.unit}")


def run_rows(runs: Sequence[RunSummary], *, mark: bool = True) -> None:
    for run in runs:
        run_row(run, mark=mark)


def _escape(text: str) -> str:
    for character in "\\[]*_`<>$:#|":
        text = text.replace(character, f"\\{character}")
    return text
