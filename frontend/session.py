"""The signed-in user of this browser, the client that sends their requests, and the errors of these requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import streamlit as st
from pydantic import ValidationError

from frontend.formatting import plain
from frontend.settings import api_url, session_cookie
from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError, NotSignedIn
from vise_client.operation import Id
from vise_client.schemas.accounts import Owned, Role, UserView
from vise_client.schemas.launch import StageView

MAX_IDS = 200
"""Ids in one request to the API."""
SHOWN_ERRORS = 5
BROKEN = "page-broken"
"""Key of the box in place of a page that raised an exception; the browser tests look for it."""


@st.cache_resource(show_spinner=False, max_entries=100)
def _client(url: str, token: str) -> ViseClient:
    """One connection pool for each token."""
    return ViseClient(url, token, patience=0)  # A page says at once that it was refused.


def client() -> ViseClient:
    """Return the API client with this browser's token."""
    return _client(api_url(), st.context.cookies.get(session_cookie(), ""))


def current_user() -> UserView:
    """Return the signed-in user, whom ``app.py`` looks up before it runs a page."""
    user: UserView = st.session_state["user"]
    return user


def can_edit() -> bool:
    """Return True if the user may start and change runs, models and data."""
    return current_user().role in (Role.editor, Role.admin)


def may_change(kind: Owned, thing_id: Id) -> bool:
    """Return whether the user may change this thing: the API knows its owner."""
    return bool(changeable(kind, [thing_id]))


def changeable(kind: Owned, ids: Sequence[Id]) -> set[str]:
    """Return the ids of those of these things that the user may change."""
    parts = (ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS))
    return {str(thing_id) for part in parts for thing_id in client().changeable(kind, part)}


def is_admin() -> bool:
    """Return True if the user has the role admin."""
    return current_user().role is Role.admin


@st.cache_data(ttl=300, show_spinner=False)
def _stages(_vise: ViseClient) -> list[StageView]:
    return _vise.stages()


def stages() -> dict[str, StageView]:
    """Return the stages by name; they change only with the software."""
    return {stage.name: stage for stage in _stages(client())}


def query_id(name: str) -> UUID | None:
    """Return the id in the address's parameter of this name; None if there is none."""
    try:
        return UUID(st.query_params.get(name, ""))
    except ValueError:
        return None


def query_number(name: str) -> int | None:
    """Return the positive number in the address's parameter of this name; None if there is none."""
    text = st.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def last_shown(key: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the stored values that a form showed when it was drawn last, and remember the current ones.

    A click is made on what the browser shows, which may be older than what this rerun has read.
    """
    before: dict[str, Any] = st.session_state.get(key, values)
    st.session_state[key] = values
    return before


@contextmanager
def show_errors() -> Iterator[None]:
    """Show errors of the API, and inputs that no request can hold, as messages on the page instead of a traceback."""
    try:
        yield
    except (ClientError, ValidationError) as error:
        _show(error)


def script_error(error: Exception) -> bool:
    """Show an exception that no page has caught; Streamlit has logged its traceback."""
    if isinstance(error, ClientError | ValidationError):
        _show(error)
    else:
        with st.container(key=BROKEN):
            st.error(
                "**This page failed.** Reload it. If it fails again, its traceback is at the end of `logs/ui.log` in "
                "`$VISE_HOME`.",
                icon=":material/error:",
            )
    return True


def _show(error: ClientError | ValidationError) -> None:
    if isinstance(error, NotSignedIn):
        st.warning("Your session has ended. Reload the page to sign in.")
    elif isinstance(error, ValidationError):
        problems = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()[:SHOWN_ERRORS]]
        st.error("  \n".join(f"**{plain(field)}**: {plain(message)}" for field, message in problems))
    else:
        st.error(_message(error) if isinstance(error, ApiError) else plain(str(error)))


def _message(error: ApiError) -> str:
    """Markdown of the problem."""
    if error.problem.errors:
        return "  \n".join(
            f"**{plain(str(e.get('field')))}**: {plain(str(e.get('message')))}" for e in error.problem.errors
        )
    return plain(error.problem.detail or error.problem.title)
