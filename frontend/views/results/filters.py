"""The filters of the evaluations, which the page's address keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from vise_core.specs.reports.tables import Choices

ANY = "any"
DATA = {ANY: None, "real data": False, "synthetic data": True}

Query = dict[str, Any]
"""Parameters of the API's reports."""


def filters(choices: Choices) -> Query:
    """Draw the filters of a report and return the chosen ones."""
    with st.container(horizontal=True):
        query: Query = {
            "task": _filter("Task", "task", choices.tasks),
            "protocol": _filter("Protocol", "protocol", choices.protocols),
            "backbone": _filter("Backbone", "backbone", choices.backbones),
            "method": _filter("Method", "method", choices.methods),
            "tag": _filter("Tag", "tag", choices.tags),
        }
        data = st.selectbox("Data", list(DATA), key="data", bind="query-params", width=146)
    return query | {"synthetic": DATA[data]}


def _filter(title: str, name: str, options: Iterable[str]) -> str | None:
    selected: str = st.selectbox(title, [ANY, *options], key=name, bind="query-params", width=146)
    return None if selected == ANY else selected
