"""The colours of all charts: distinct for colour-blind readers, with a contrast of 3:1 in the light and dark theme.

    series_style(2, dark=is_dark())  → {"color": "#1A9A60", "dash": "solid"}, Plotly's line of the third series
    SEQUENTIAL                       → the scale of heat maps and of other quantities

The dark colours are those of Okabe and Ito. Three of theirs are too pale for a white page (WCAG 1.4.11 asks for
3:1), so that the light ones keep their hues and move in lightness; tests/frontend/charts/test_palette.py holds
contrast and distances under protanopia, deuteranopia and tritanopia.
"""

from __future__ import annotations

import streamlit as st

LIGHT = ("#0068C9", "#D55E00", "#1A9A60", "#C464A2", "#5F3211", "#0B2F66")
DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
DASHES = ("solid", "dash", "dot", "dashdot")
"""After the last colour the colours repeat with another dash, so that lines differ by more than colour."""

NEUTRAL = "#7F7F7F"
"""For comparison only: the paper's numbers, classes that were not predicted."""

STATIC = {"displayModeBar": False}
"""Plotly's configuration of a chart without a toolbar."""

SEQUENTIAL = "Cividis"
"""Perceptually uniform, also for colour-blind readers; the name is Plotly's and Matplotlib's."""


def sequential_lines(*, dark: bool) -> list[str]:
    """Return the part of the sequential scale that has a contrast of 3:1 to the page: without its pale or its dark end."""
    return (
        ["#6d6f7a", "#8a8779", "#a8a073", "#c8bb66", "#ead64f", "#fee838"]
        if dark
        else ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678"]
    )


def is_dark() -> bool:
    """Return True if the browser shows the dark theme; False before the browser has reported it."""
    return st.context.theme.type == "dark"


def colours(*, dark: bool) -> tuple[str, ...]:
    """Return the colours of series, in order."""
    return DARK if dark else LIGHT


def colour(position: int, *, dark: bool) -> str:
    """Return the colour of the series at this position."""
    palette = colours(dark=dark)
    return palette[position % len(palette)]


def series_style(position: int, *, dark: bool) -> dict[str, str]:
    """Return colour and dash of the line at this position: 24 different ones, then from the beginning."""
    return {
        "color": colour(position, dark=dark),
        "dash": DASHES[position // len(colours(dark=dark)) % len(DASHES)],
    }
