"""How numbers, bytes, times and texts are written on every page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import cycle
from typing import Any


def number(value: float) -> str:
    """Return a number with four significant digits, without needless zeros or exponents; NaN and inf by name."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 and value == int(value) else f"{value:.4g}"


def headline(values: Mapping[str, float]) -> str:
    """Return a run's leading metrics on one line: ``test accuracy 61.2 · val accuracy 60.8``."""
    return " · ".join(f"{key.replace('_', ' ')} {number(value)}" for key, value in values.items())


def count(n: int, singular: str, plural: str = "") -> str:
    """Return a number of things: ``1 run``, ``1,200 runs``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def size(n_bytes: float) -> str:
    """Return a number of bytes with its unit: ``512 B``, ``1.4 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


def amount(n: float, unit: str) -> str:
    """Return a progress count with its unit; bytes are scaled: ``1,200 posts``, ``3.4 MiB``."""
    return size(n) if unit == "bytes" else f"{n:,.0f} {unit}"


def duration(seconds: float) -> str:
    """Return a number of seconds as text: ``8 s``, ``3 min 5 s``, ``2 h 4 min``."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(now: datetime, then: datetime) -> str:
    """Return the time from ``then`` to ``now`` as text; never negative."""
    return duration(max(0.0, (now - then).total_seconds()))


def minute(at: datetime) -> str:
    """Return date and time to the minute, in UTC: ``2026-01-31 14:05``."""
    return f"{at:%Y-%m-%d %H:%M}"


def value_text(value: Any) -> str:
    """Return the value of a spec field as a table shows it: ``none`` for None, lists with commas."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    return str(value)


# Streamlit replaces these in the text that is left after Markdown's own escapes are resolved.
_SHORTCODE = re.compile(r":(?=(?:material[/_])?[\w+-]+:)|(?<!\S)(?=(?:<->|->|<-|--|>=|<=|~=)(?!\S))")
_DIRECTIVE = re.compile(r"(?<!\\)((?:\\\\)*):(?=[A-Za-z][\w-]*\[)")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_JOINER = "\u2060"  # invisible, and no part of a word


def plain(text: str) -> str:
    """Escape a text for Streamlit's Markdown: names and messages of users are shown as they were written."""
    text = _without_shortcodes(text)
    for character in "\\[]*_`<>$:#|~&!":
        text = text.replace(character, f"\\{character}")
    return re.sub(r"^(\s*)([-+=]|\d+(?=[.)]))", r"\1" + _JOINER + r"\2", text.replace("\n", " "))


def code_span(text: str) -> str:
    """A text as code in a line of Streamlit's Markdown, whatever back-ticks it holds."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}" if text else ""


def user_markdown(text: str) -> str:
    """Return Markdown that a user wrote without Streamlit's own directives: colours, badges, icons and emoji."""
    parts = _CODE.split(_without_shortcodes(text))
    # In code a backslash would be seen; what only looks like code is left without its directives too.
    return "".join(
        _DIRECTIVE.sub(r"\1:" + _JOINER if is_code else r"\1\\:", part)
        for part, is_code in zip(parts, cycle((False, True)), strict=False)
    )


def _without_shortcodes(text: str) -> str:
    return _SHORTCODE.sub(lambda match: match[0] + _JOINER, text)
