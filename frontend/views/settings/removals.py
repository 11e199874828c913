"""Removals of posts: list what holds them and what was derived from them, confirm, and see the proof."""

from __future__ import annotations

import streamlit as st

from frontend.components.confirm import confirm_or_keep
from frontend.components.layout import empty
from frontend.components.paging import cursor_buttons
from frontend.components.table import show_rows
from frontend.formatting import minute, plain
from frontend.session import client, show_errors
from vise_client.schemas.removals import MAX_ID_LENGTH, MAX_POSTS, RemovalCreate, RemovalState, RemovalView

PAGE = 5
REFRESH_SECONDS = 2


def removals() -> None:
    """Draw the form that lists what holds posts, and the removals, newest first."""
    st.write(
        "For requests for privacy. A worker first lists what holds the posts and what was derived from them; nothing is "
        "removed until you confirm."
    )
    # A new key empties the field, once the request was accepted: ids that were not are still there to correct.
    requests = st.session_state.setdefault("removal_requests", 0)
    with st.form("removal"):
        text = st.text_area(
            "Ids of the posts",
            key=f"removal-posts-{requests}",
            help=f"As in their source, one a line, at most {MAX_POSTS:,}.",
            placeholder="one id a line",
        )
        if st.form_submit_button("List what holds these posts", type="primary"):
            posts = [line.strip() for line in text.splitlines() if line.strip()]
            if not posts:
                st.error("Enter at least one id.")
            elif len(posts) > MAX_POSTS:
                st.error(f"{len(posts):,} ids: enter at most {MAX_POSTS:,} at a time.")
            elif long := [post for post in posts if len(post) > MAX_ID_LENGTH]:
                st.error(f"{plain(long[0][:50])} …: an id has at most {MAX_ID_LENGTH} characters.")
            else:
                with show_errors():
                    client().create_removal(RemovalCreate(posts=posts))
                    st.session_state["removal_requests"] += 1
                    st.rerun()
    page = client().removals(cursor=st.query_params.get("cursor"), limit=PAGE)
    if not page.items:
        empty("No posts have been removed", "Enter the ids of posts above.", icon=":material/delete_forever:")
    for removal in page.items:
        _card(removal)
    cursor_buttons(page.next_cursor)


def _card(removal: RemovalView) -> None:
    with st.container(border=True, key=f"row-{removal.id}"):
        if _changes(removal):
            st.fragment(_following, run_every=REFRESH_SECONDS)(removal)
        else:
            _details(removal)
        _buttons(removal)


def _following(removal: RemovalView) -> None:
    """Draw a removal that a worker works on, until it is done."""
    with show_errors():
        now = client().removal(removal.id)
        if not _changes(now):
            st.rerun()
        _details(now)


def _changes(removal: RemovalView) -> bool:
    return removal.state.working or bool(removal.caches_waiting)


def _details(removal: RemovalView) -> None:
    some = ", ".join(removal.posts[:3]) + (" …" if len(removal.posts) > 3 else "")
    st.markdown(f"**{plain(some)}**  \n{len(removal.posts)} posts, {minute(removal.created_at)}")
    if removal.state.working:
        doing = "Removing" if removal.state is RemovalState.removing else "Listing what holds the posts"
        st.info(f"{doing}: {plain(removal.progress or 'waits for a worker of the queue cpu or gpu')}")
    if removal.error:
        st.error(plain(removal.error))
    if removal.findings:
        show_rows(
            [{"action": finding.action, "what": finding.what} for finding in removal.findings],
            hide_index=True,
        )
    elif removal.state is RemovalState.listed:
        st.write("Nothing holds these posts.")
    if removal.state is RemovalState.removed:
        _proof(removal)


def _proof(removal: RemovalView) -> None:
    if removal.left:
        st.warning("Not removed, or not proven:  \n" + "  \n".join(plain(what) for what in removal.left))
    else:
        st.success("Everything was read again: no object, row or folder holds the posts.")
    if removal.caches_waiting:
        st.info(f"Workers that have not cleared their caches yet: {plain(', '.join(removal.caches_waiting))}")


def _buttons(removal: RemovalView) -> None:
    unlisted = removal.state is RemovalState.failed and removal.applied_at is None
    again = (bool(removal.left) or removal.state is RemovalState.failed) and not unlisted
    with st.container(horizontal=True):
        if unlisted and st.button("List again", key=f"list-{removal.id}", icon=":material/refresh:"):
            with show_errors():
                client().apply_removal(removal.id)
                st.rerun()
        if (again or removal.state is RemovalState.listed) and st.button(
            "Remove again" if again else "Remove the posts",
            key=f"apply-{removal.id}",
            icon=":material/delete_forever:",
        ):
            _dialog(removal)
        if removal.applied_at is None and st.button("Discard the list", key=f"discard-{removal.id}"):
            with show_errors():
                client().delete_removal(removal.id)
                st.rerun()


@st.dialog("Remove these posts for good?")
def _dialog(removal: RemovalView) -> None:
    st.write(
        f"This removes {len(removal.posts)} posts with all that shows them. This cannot be undone. `vise restore` "
        "removes the posts again."
    )
    with show_errors():
        confirm_or_keep(
            "Remove for good", lambda: client().apply_removal(removal.id), icon=":material/delete_forever:"
        )
