"""The visual language: the style sheet, state badges, marks, and how numbers and times are written."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import streamlit as st

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
    """The style sheet, and what screen readers need that Streamlit leaves out."""
    st.html(SHEET)
    st.html(_REPAIRS, unsafe_allow_javascript=True)


def badge(state: RunState) -> str:
    """Markdown of a badge for the state."""
    colour, icon = _BADGES[state]
    return f":{colour}-badge[{icon} {state.value}]"


def synthetic_badge(synthetic: bool) -> str:
    """Markdown of the mark that everything made from generated data carries."""
    return " :violet-badge[:material/science: synthetic data]" if synthetic else ""


_TONES = {
    "running": "blue",
    "cancelling": "orange",
    "pausing": "orange",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
} | dict.fromkeys(("stalled", "no worker"), "orange")


def status_tone(label: str) -> str:
    """The hue of a status; gray where nothing asks for attention."""
    return _TONES.get(label, "gray")


def status_badge(run: RunSummary) -> str:
    """Markdown of a badge that says stalled, lost or no worker too, where the state alone would hide it."""
    if run.status.label == run.state.value:
        return badge(run.state)
    return f":{status_tone(run.status.label)}-badge[:material/warning: {run.status.label}]"


def status_sentence(run: RunSummary) -> str:
    """What the server says of the run's state, with the age of its heartbeat while a worker has it."""
    heard = run.status.heartbeat_seconds
    if heard is None or run.status.label not in ("running", "cancelling", "pausing"):
        return run.status.sentence
    return f"{run.status.sentence}, heartbeat {seconds(heard)} ago"


def seconds(value: float) -> str:
    """A span of time as people say it: 8 s, 3 min 5 s, 2 h 4 min."""
    whole = int(value)
    if whole < 60:
        return f"{value:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(now: datetime, then: datetime) -> str:
    return seconds(max(0.0, (now - then).total_seconds()))


def number(value: float) -> str:
    """Four significant digits, without needless zeros or exponents; NaN and inf by name."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 and value == int(value) else f"{value:.4g}"


def headline(values: dict[str, float]) -> str:
    return " · ".join(f"{key.replace('_', ' ')} {number(value)}" for key, value in values.items())


def plain(text: str) -> str:
    """A name or a message as it is, whatever Markdown would make of its signs."""
    for character in "\\[]*_`<>$:#|~":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
