"""Selections whose ids are kept in the page's address.

Streamlit's own ``bind="query-params"`` writes the label of an option, which may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st


def url_select(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    *,
    help: str | None = None,
    on_change: Callable[[], None] | None = None,
) -> str:
    """Select one of ``options`` (id → label); the first unless the address names one."""
    ids = list(options)
    linked = st.query_params.get(parameter, "")
    selected = st.selectbox(
        label,
        ids,
        index=ids.index(linked) if linked in options else 0,
        format_func=options.__getitem__,
        key=f"choose-{parameter}",
        help=help,
        on_change=on_change,
    )
    st.query_params[parameter] = selected
    return selected


def url_multiselect(
    label: str, options: Mapping[str, str], parameter: str, *, default: Sequence[str], most: int, help: str
) -> list[str]:
    """Select some of ``options`` (id → label); ``default`` unless the address names some."""
    linked = [i for i in st.query_params.get_all(parameter) if i in options][:most]
    selected = st.multiselect(
        label,
        list(options),
        default=linked or list(default),
        format_func=options.__getitem__,
        max_selections=most,
        key=f"choose-{parameter}",
        help=help,
    )
    st.query_params[parameter] = selected
    return selected
