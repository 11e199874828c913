"""What a launch will take, as sentences: measured, calculated, or said to be unknown."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.formatting import duration, size
from vise_client.schemas.launch import LaunchCheck
from vise_core.specs.estimate import Estimate


def estimate_lines(found: Estimate) -> list[str]:
    """Markdown lines: work, time, memory, disk."""
    lines = [f"**Work** {found.work}"] if found.work else []
    for time in found.time:
        spread = f", {duration(time.least)} to {duration(time.most)}" if len(time.runs) > 1 else ""
        lines.append(
            f"**Time** about {duration(time.seconds)} on {time.device} :gray[({found.time_note}{spread})]"
        )
    if not found.time:
        lines.append(f"**Time** {found.time_note}")
    for memory in found.memory:
        least = "at most" if memory.at_most else "about"
        lines.append(f"**Memory, {memory.where}** {least} {size(memory.bytes)} a process")
    lines.append(f":gray[{found.memory_note}]" if found.memory else f"**Memory** {found.memory_note}")
    if found.disk is not None:
        more = f", and {size(found.disk.working)} of state while it runs" if found.disk.working else ""
        lines.append(f"**Disk** {size(found.disk.kept)}{more} :gray[({found.disk_note})]")
    else:
        lines.append(f"**Disk** {found.disk_note}")
    return lines


def ask_for(missing: Sequence[str]) -> None:
    """Say what is still to be chosen, if anything is."""
    if missing:
        st.info(f"Choose {' and '.join(f'**{name}**' for name in missing)} to launch.")


def show_check(check: LaunchCheck) -> None:
    """The estimate, or what is still to be chosen and how many problems stand in the way."""
    fields = [problem.field.partition(".") for problem in check.problems if problem.missing]
    ask_for([f"values of {name}" if group == "grid" else name for group, _, name in fields])
    wrong = [problem for problem in check.problems if not problem.missing]
    if wrong:
        many = len(wrong)
        st.warning(f"{many} {'thing is' if many == 1 else 'things are'} to be put right first.")
        for problem in wrong[:12]:
            st.markdown(f"- `{problem.field}` {problem.message}")
    elif check.estimate is not None:
        if check.runs > 1:
            st.markdown(f"**{check.runs} runs**")
        for line in estimate_lines(check.estimate):
            st.markdown(line)
