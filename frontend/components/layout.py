"""The parts that every page has: its title, links to other pages, empty states and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import streamlit as st

from frontend.navigation import PAGES

Query = Mapping[str, str | Sequence[str]]


def page_title(title: str, purpose: str, *, badges: str = "") -> None:
    """Draw the page's only first-level heading, with one sentence that says what the page is for.

    ``badges`` is Markdown beside the sentence: the state, the mark of synthetic data. Sections below it are
    ``st.header``, parts of a section ``st.subheader``; no level is left out.
    """
    st.title(title, anchor=False)
    with st.container(key="page-purpose"):
        st.markdown(f"{badges} {purpose}".strip())


def page_tabs(tabs: Mapping[str, Callable[[], None]], key: str) -> None:
    """Draw the tab that the address names, else the first, below buttons that choose one.

    A new tab starts with an address of its own, as the parameters of the last one mean nothing to it.
    """
    first = next(iter(tabs))
    linked = st.query_params.get("tab", first)
    tab = st.segmented_control(
        "Show",
        list(tabs),
        default=linked if linked in tabs else first,
        required=True,
        label_visibility="collapsed",
        key=key,
    )
    if tab != linked:
        st.query_params.from_dict({"tab": tab})
    tabs[tab]()


def link_to(
    page: str, label: str = "", query: Query | None = None, *, icon: str = "", help: str | None = None
) -> None:
    """Draw a link to a page by its name in ``navigation.PAGES``; its title and icon unless others are given."""
    entry = PAGES[page]
    params = {name: v if isinstance(v, str) else list(v) for name, v in (query or {}).items()}
    st.page_link(
        entry.view,
        label=label or entry.title,
        icon=icon or entry.icon,
        help=help,
        query_params=params or None,
    )


def empty(
    title: str,
    hint: str,
    *,
    page: str | None = None,
    label: str = "",
    query: Query | None = None,
    icon: str = ":material/inbox:",
) -> None:
    """Say what is missing and what will fill it, with a link to the page where that is done."""
    with st.container(border=True, key=f"empty-{crc32((title + hint).encode()):08x}"):
        st.markdown(f"{icon} **{title}**  \n{hint}")
        if page is not None:
            link_to(page, label, query)


def problem(what: str, hint: str = "") -> None:
    """Draw an error: what went wrong, and what to do about it."""
    st.error(f"**{what}** {hint}".strip(), icon=":material/error:")


def read_only(action: str) -> None:
    """Tell a user with the role viewer who may do ``action``, such as ``start runs``."""
    st.info(f"You have read-only access. Ask an admin for the role editor to {action}.")
