"""Paging of long lists, with a search box; the page's address keeps both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

Row = TypeVar("Row")
PAGE = 20


def paged_list(
    things: str,
    placeholder: str,
    search_rows: Callable[..., list[Row]],
    show_row: Callable[[Row], None],
    show_empty: Callable[[], None] = lambda: None,
) -> None:
    """Draw a search box and a page of the rows of ``search_rows(search=, offset=, limit=)``.

    ``show_empty`` is called if there is no row at all.
    """
    search = search_box(f"Search {things}", placeholder)
    number = page_number()
    rows = search_rows(search=search, offset=PAGE * number, limit=PAGE + 1)
    if not rows and not search and number == 0:
        show_empty()
    elif not rows:
        st.info(f"No {things.removesuffix('s')} matches the search.")
    for row in rows[:PAGE]:
        show_row(row)
    page_buttons(number, more=len(rows) > PAGE)


def search_box(label: str, placeholder: str) -> str:
    """Draw a search box and return its text; a new search starts at the first page."""
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
    """Return the number of the page in the address, from 0."""
    text = st.query_params.get("page", "1")
    return max(0, int(text) - 1) if text.isdecimal() and len(text) < 9 else 0


def page_buttons(number: int, *, more: bool, pages: int | None = None) -> None:
    """Draw buttons to the pages before and after page ``number``; ``pages`` is the number of pages, if known."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if number > 0 and st.button("Previous page", icon=":material/chevron_left:"):
            st.query_params["page"] = str(number)
            st.rerun()
        if pages is not None and pages > 1:
            st.markdown(f"Page {number + 1} of {pages}", width="content")
        if more and st.button("Next page", icon=":material/chevron_right:"):
            st.query_params["page"] = str(number + 2)
            st.rerun()


def cursor_buttons(next_cursor: str | None, *, parameter: str = "cursor", things: str = "") -> None:
    """Draw buttons to the newest and to older rows of a list that is read by cursor.

    ``parameter`` of the address holds the cursor. ``things`` names the rows where a page has several lists.
    """
    with st.container(horizontal=True):
        if parameter in st.query_params and st.button(
            f"Newest {things}".strip(), icon=":material/first_page:"
        ):
            del st.query_params[parameter]
            st.rerun()
        if next_cursor and st.button(f"Older {things}".strip(), icon=":material/chevron_right:"):
            st.query_params[parameter] = next_cursor
            st.rerun()
