"""Plotly figures, without the HTML that texts of users may hold."""

from __future__ import annotations

import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

_NOT_OURS = re.compile(r"<(?!/?(?:b|br|extra)>)")
"""What begins a tag that our charts do not write; Plotly draws links, images of formulas and more from texts."""


def show_figure(figure: go.Figure, **options: Any) -> Any:
    """Draw a figure with the options of ``st.plotly_chart``."""
    return st.plotly_chart(go.Figure(_escaped(figure.to_dict())), **options)


def _escaped(value: Any) -> Any:
    """Escape the tags in all texts of a figure; arrays of numbers stay as they are."""
    if isinstance(value, str):
        return _NOT_OURS.sub("&lt;", value)
    if isinstance(value, dict):
        return {key: _escaped(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(part) for part in value]
    return value
