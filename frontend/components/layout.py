"""What every page is made of: its title, its empty state, its errors, its waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from zlib import crc32

import streamlit as st

from frontend.navigation import PAGES


def page_title(title: str, purpose: str, *, badges: str = "") -> None:
    """The page's only first-level heading, with one sentence that says what the page is for.

    ``badges`` is Markdown beside the sentence: state, the mark of synthetic data.
    Sections below it are ``st.header``, parts of a section ``st.subheader``: no level is left out.
    """
    st.title(title, anchor=False)
    with st.container(key="page-purpose"):
        st.markdown(f"{badges} {purpose}".strip())


def empty(
    what: str,
    then: str,
    *,
    page: str | None = None,
    label: str | None = None,
    query: Mapping[str, str | Sequence[str]] | None = None,
    icon: str = ":material/inbox:",
) -> None:
    """Say what is not here, what to do next, and link to the page (a name of ``navigation.PAGES``) where it is done."""
    with st.container(border=True, key=f"empty-{crc32((what + then).encode()):08x}"):
        st.markdown(f"{icon} **{what}**  \n{then}")
        if page is not None:
            entry = PAGES[page]
            params = (
                None if query is None else {k: v if isinstance(v, str) else list(v) for k, v in query.items()}
            )
            st.page_link(entry.view, label=label or entry.title, icon=entry.icon, query_params=params)


def problem(what: str, then: str = "") -> None:
    """An error in a sentence: what went wrong, then what to do about it."""
    st.error(f"**{what}** {then}".strip(), icon=":material/error:")


@contextmanager
def loading(height: int = 240) -> Iterator[None]:
    """A skeleton of this height, in pixels, where content that takes longer than half a second will come."""
    with st.skeleton(height):
        yield
