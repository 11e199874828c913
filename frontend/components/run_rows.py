"""Runs as rows, and the progress of one run, for lists that fit on a phone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components.layout import link_to
from frontend.formatting import amount, duration, headline, plain
from frontend.style import status_badge, status_sentence, synthetic_badge
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary

ACTIVE = (RunState.running, RunState.cancelling, RunState.pausing, RunState.paused)


def run_rows(runs: Sequence[RunSummary], *, mark: bool = True) -> None:
    """Draw a box for each run: its name as a link, state, progress and leading metrics.

    Without ``mark``, synthetic data is not marked: the page has marked all of them.
    """
    for run in runs:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                label = f"**{plain(run.name)}** :gray[{run.stage or run.kind}]"
                st.page_link("views/run/page.py", label=label, query_params={"run": str(run.id)})
                st.markdown(f"{_state(run)}{synthetic_badge(mark and run.synthetic)}", width="content")
            if run.headline:
                st.caption(plain(headline(run.headline)))
            progress_bar(run)


def run_lines(runs: Sequence[RunSummary]) -> None:
    """Draw a line for each run, for the steps of a recipe."""
    st.markdown(
        "\n".join(f"- [{plain(run.name)}](run?run={run.id}) {_state(run)}{_share(run)}" for run in runs)
    )


def progress_bar(run: RunSummary) -> None:
    """Draw the progress of an unfinished run and, if it is known, its remaining time."""
    progress = run.progress
    if run.state not in ACTIVE or progress is None:
        return
    phase, unit = f"{plain(progress.phase)}: " if progress.phase else "", plain(progress.unit)
    if not progress.total:
        st.caption(f"{phase}{amount(progress.done, unit)}")
        return
    done = amount(progress.done, unit) if unit == "bytes" else f"{progress.done:,.0f}"
    text = f"{phase}{done} of {amount(progress.total, unit)}"
    if progress.seconds_left is not None and run.state is RunState.running:
        text += f" · about {duration(progress.seconds_left)} left"
    st.progress(min(1.0, progress.done / progress.total), text=text)


def run_link(run_id: object, label: str, *, icon: str = "") -> None:
    """Draw a link to the page of a run."""
    link_to("run", label, {"run": str(run_id)}, icon=icon)


def _state(run: RunSummary) -> str:
    return f"{status_badge(run)} :gray[{plain(status_sentence(run))}]"


def _share(run: RunSummary) -> str:
    if run.state is not RunState.running or run.progress is None or not run.progress.total:
        return ""
    return f" :gray[{min(1.0, run.progress.done / run.progress.total):.0%}]"
