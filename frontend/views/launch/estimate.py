"""The check before a launch: the estimated cost, or the problems that prevent it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.formatting import code_span, count, duration, plain, size
from vise_client.schemas.launch import LaunchCheck
from vise_core.specs.estimate import Estimate

MOST_PROBLEMS = 12


def show_check(check: LaunchCheck) -> None:
    """Draw what a draft lacks, else its problems, else the estimate of its cost."""
    missing = [problem.field.partition(".") for problem in check.problems if problem.missing]
    ask_for([f"values of {name}" if group == "grid" else name for group, _, name in missing])
    problems = [problem for problem in check.problems if not problem.missing]
    if problems:
        st.warning(f"Fix {count(len(problems), 'problem')} to launch.")
        for problem in problems[:MOST_PROBLEMS]:
            st.markdown(f"- {code_span(problem.field)} {plain(problem.message)}")
    elif check.estimate is not None:
        if check.runs > 1:
            st.markdown(f"**{check.runs} runs**")
        for line in _estimate_lines(check.estimate):
            st.markdown(line)


def ask_for(missing: Sequence[str]) -> None:
    """Name the inputs and values that are missing."""
    if missing:
        st.info(f"Select {' and '.join(f'**{plain(name)}**' for name in missing)} to launch.")


def _estimate_lines(estimate: Estimate) -> list[str]:
    """Markdown lines: work, time, memory, disk."""
    lines = [f"**Work** {plain(estimate.work)}"] if estimate.work else []
    for time in estimate.time:
        spread = f", {duration(time.least)} to {duration(time.most)}" if len(time.runs) > 1 else ""
        note = f":gray[({plain(estimate.time_note)}{spread})]"
        lines.append(f"**Time** about {duration(time.seconds)} on {plain(time.device)} {note}")
    if not estimate.time:
        lines.append(f"**Time** {plain(estimate.time_note)}")
    for memory in estimate.memory:
        bound = "at most" if memory.at_most else "about"
        lines.append(f"**Memory, {plain(memory.where)}** {bound} {size(memory.bytes)} per process")
    lines.append(
        f":gray[{plain(estimate.memory_note)}]"
        if estimate.memory
        else f"**Memory** {plain(estimate.memory_note)}"
    )
    if estimate.disk is None:
        return [*lines, f"**Disk** {plain(estimate.disk_note)}"]
    working = f", and {size(estimate.disk.working)} of state during the run" if estimate.disk.working else ""
    return [*lines, f"**Disk** {size(estimate.disk.kept)}{working} :gray[({plain(estimate.disk_note)})]"]
