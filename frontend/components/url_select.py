"""Choices whose ids stand in the address: Streamlit's own binding writes the text that people read, which may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st


def addressed_select(
    label: str,
    options: Mapping[str, str],
    name: str,
    *,
    help: str | None = None,
    on_change: Callable[[], None] | None = None,
) -> str:
    """One of ``options`` (id → text); the first where the address names none of them."""
    ids = list(options)
    given = st.query_params.get(name, "")
    chosen = st.selectbox(
        label,
        ids,
        index=ids.index(given) if given in options else 0,
        format_func=options.__getitem__,
        key=f"choose-{name}",
        help=help,
        on_change=on_change,
    )
    st.query_params[name] = chosen
    return chosen


def addressed_several(
    label: str, options: Mapping[str, str], name: str, *, first: Sequence[str], most: int, help: str
) -> list[str]:
    """Some of ``options`` (id → text), ``first`` where the address names none of them."""
    given = [i for i in st.query_params.get_all(name) if i in options][:most]
    chosen = st.multiselect(
        label,
        list(options),
        default=given or list(first),
        format_func=options.__getitem__,
        max_selections=most,
        key=f"choose-{name}",
        help=help,
    )
    st.query_params[name] = chosen
    return chosen
