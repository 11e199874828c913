"""Runs as rows, for lists that fit on a phone too."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.formatting import headline, plain
from frontend.style import status_badge, status_sentence, synthetic_badge
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary


def run_row(run: RunSummary, *, mark: bool = True) -> None:
    """Name (a link), state, what it means, progress, and the headline numbers."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            label = f"**{plain(run.name)}** :gray[{run.stage or run.kind}]"
            st.page_link("views/run/page.py", label=label, query_params={"run": str(run.id)})
            marks = synthetic_badge(run.synthetic) if mark else ""
            st.markdown(f"{_state(run)}{marks}", width="content")
        if run.headline:
            st.caption(headline(run.headline))
        progress_bar(run)


def run_lines(runs: Sequence[RunSummary]) -> None:
    """One line a run, for the steps of a recipe."""
    lines = (f"- [{plain(run.name)}](run?run={run.id}) {_state(run)}{_share(run)}" for run in runs)
    st.markdown("\n".join(lines))


def _state(run: RunSummary) -> str:
    return f"{status_badge(run)} :gray[{plain(status_sentence(run))}]"


def _share(run: RunSummary) -> str:
    if run.state is not RunState.running or run.progress is None or not run.progress.total:
        return ""
    return f" :gray[{min(1.0, run.progress.done / run.progress.total):.0%}]"


def progress_bar(run: RunSummary) -> None:
    """The bar of a run that is at work, with what it is doing."""
    going = (RunState.running, RunState.cancelling, RunState.pausing, RunState.paused)
    if run.state not in going or run.progress is None:
        return
    progress = run.progress
    if progress.total:
        share = min(1.0, progress.done / progress.total)
        phase = f"{progress.phase}: " if progress.phase else ""
        text = f"{phase}{progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"
        st.progress(share, text=text)
    else:
        st.caption(f"{progress.phase or 'working'}: {progress.done:,.0f} {progress.unit}")


def run_rows(runs: Sequence[RunSummary], *, mark: bool = True) -> None:
    for run in runs:
        run_row(run, mark=mark)
