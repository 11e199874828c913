"""The visual language: the style sheet, state badges, marks, and how numbers and times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from vise_client.schemas import RunState, RunSummary

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


def status_sentence(run: RunSummary, now: datetime | None = None) -> str:
    """What the state means for this run, honestly: who holds it and when it was last heard of."""
    now = now or datetime.now(UTC)
    if run.state is RunState.queued:
        if run.kind != "stage":
            return "no step has begun"
        return f"in line for a worker on queue {run.queue}, since {age(now, run.created_at)}"
    if run.state in (RunState.running, RunState.cancelling, RunState.pausing) and run.kind == "stage":
        if run.heartbeat_at is None:
            return "taken up"
        silent = (now - run.heartbeat_at).total_seconds()
        heard = "" if silent < 15 else f", last heard of {age(now, run.heartbeat_at)} ago"
        attempt = "" if run.attempt <= 1 else f", attempt {run.attempt}"
        return f"on {run.worker}{attempt}{heard}"
    if run.state.final and run.started_at and run.finished_at:
        took = seconds((run.finished_at - run.started_at).total_seconds())
        return f"took {took}" + (f"; {run.reason}" if run.reason else "")
    return run.reason or ""


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
    """Four significant digits, without needless zeros or exponents."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:.4g}"


def headline(values: dict[str, float]) -> str:
    return " · ".join(f"{key.replace('_', ' ')} {number(value)}" for key, value in values.items())


def plain(text: str) -> str:
    """A name or a message as it is, whatever Markdown would make of its signs."""
    for character in "\\[]*_`<>$:#|~":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
