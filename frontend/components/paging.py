"""Lists that are longer than a page: the search box above them and the buttons below; the address holds both."""

from __future__ import annotations

import streamlit as st


def search_box(label: str, placeholder: str) -> str:
    """What is searched for; a new search begins at the first page."""
    search = st.text_input(
        label,
        st.query_params.get("search", ""),
        key=f"search.{label}",
        placeholder=placeholder,
        label_visibility="collapsed",
        icon=":material/search:",
        live=True,
    )
    if search != st.query_params.get("search", ""):
        st.query_params["search"] = search
        st.query_params.pop("page", None)
    return search


def page_number() -> int:
    """Which page the address asks for, from 0."""
    text = st.query_params.get("page", "1")
    return max(0, int(text) - 1) if text.isdecimal() and len(text) < 9 else 0


def page_buttons(number: int, *, more: bool, pages: int | None = None) -> None:
    """Back where there is a page before ``number``, and on where there are ``more`` rows; of how many ``pages``."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if number > 0 and st.button("Previous page", icon=":material/chevron_left:"):
            st.query_params["page"] = str(number)
            st.rerun()
        if pages is not None and pages > 1:
            st.markdown(f"Page {number + 1} of {pages}", width="content")
        if more and st.button("Next page", icon=":material/chevron_right:"):
            st.query_params["page"] = str(number + 2)
            st.rerun()


def cursor_buttons(next_cursor: str | None) -> None:
    """Back to the newest, and on to older rows, of a list that is read by cursor."""
    with st.container(horizontal=True):
        if "cursor" in st.query_params and st.button("Newest", icon=":material/first_page:"):
            del st.query_params["cursor"]
            st.rerun()
        if next_cursor and st.button("Older", icon=":material/chevron_right:"):
            st.query_params["cursor"] = next_cursor
            st.rerun()
