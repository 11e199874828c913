"""The style sheet, the badges of states, and the mark of synthetic data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from frontend.formatting import duration, plain
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary

LOGO = str(Path(__file__).parent / "static" / "logo.svg")
ICON = str(Path(__file__).parent / "static" / "icon.svg")
SHEET = Path(__file__).parent / "style.css"
_REPAIRS = f"<script>{(Path(__file__).parent / 'frame.js').read_text()}</script>"

_BADGES: dict[RunState, tuple[str, str]] = {
    RunState.waiting: ("gray", ":material/hourglass_empty:"),
    RunState.queued: ("gray", ":material/schedule:"),
    RunState.running: ("blue", ":material/play_arrow:"),
    RunState.cancelling: ("orange", ":material/pan_tool:"),
    RunState.pausing: ("orange", ":material/pause:"),
    RunState.paused: ("gray", ":material/pause_circle:"),
    RunState.succeeded: ("green", ":material/check:"),
    RunState.failed: ("red", ":material/error:"),
    RunState.cancelled: ("gray", ":material/block:"),
}


def apply_style() -> None:
    """Add the style sheet, and the script that repairs Streamlit's accessibility."""
    st.html(SHEET)
    st.html(_REPAIRS, unsafe_allow_javascript=True)


def badge(state: RunState) -> str:
    """Return the Markdown of a state's badge."""
    colour, icon = _BADGES[state]
    return f":{colour}-badge[{icon} {state.value}]"


def synthetic_badge(synthetic: bool) -> str:
    """Return the Markdown of the badge for everything made from generated data; empty otherwise."""
    return " :violet-badge[:material/science: synthetic data]" if synthetic else ""


def deleted_inputs_badge(names: Sequence[str]) -> str:
    """Return the Markdown of the badge for what was made from deleted data sets; empty without any."""
    if not names:
        return ""
    return f" :orange-badge[:material/delete: input deleted: {plain(', '.join(names))}]"


_TONES = {
    "running": "blue",
    "cancelling": "orange",
    "pausing": "orange",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
} | dict.fromkeys(("stalled", "no worker"), "orange")


def status_tone(label: str) -> str:
    """Return the colour of a status label; gray for unremarkable ones."""
    return _TONES.get(label, "gray")


def status_badge(run: RunSummary) -> str:
    """Return the Markdown of a run's badge: its state, or a problem that the state hides, such as a stalled run."""
    if run.status.label == run.state.value:
        return badge(run.state)
    return f":{status_tone(run.status.label)}-badge[:material/warning: {run.status.label}]"


def status_sentence(run: RunSummary) -> str:
    """Return the status as a sentence, with the age of the last heartbeat while a worker executes the run."""
    heartbeat = run.status.heartbeat_seconds
    if heartbeat is None or run.status.label not in ("running", "cancelling", "pausing"):
        return run.status.sentence
    return f"{run.status.sentence}, heartbeat {duration(heartbeat)} ago"
