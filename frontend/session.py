"""Who is looking at the page, and the client that speaks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import streamlit as st

from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError, NotSignedIn, Unreachable
from vise_client.schemas.accounts import Role, UserView
from vise_client.schemas.launch import StageView

from .components.page import page_title, problem
from .serve import COOKIE, api_url

_SENTENCES = {
    "failed": "That did not work: the address, the password or the link is wrong or was used already.",
    "wait": "Too many attempts. Wait five minutes, then try again.",
    "unreachable": "The API does not answer. Is it running? `vise up` starts it.",
    "refused": "Sign in from this page.",
}


BROKEN = "page-broken"
"""Key of the box that an error in our own code leaves; the browser tests look for it."""


@st.cache_resource(show_spinner=False, max_entries=100)
def _client(url: str, token: str) -> ViseClient:
    """One connection pool for each token."""
    return ViseClient(url, token)


def client() -> ViseClient:
    return _client(api_url(), st.context.cookies.get(COOKIE, ""))


def signed_in() -> UserView | None:
    """The user of this browser; None after showing the login page."""
    if st.context.cookies.get(COOKIE):
        try:
            return client().me()
        except NotSignedIn:
            pass
        except Unreachable:
            st.error("The API does not answer. Its log is in the folder `logs` of the system's home.")
            st.button("Try again", icon=":material/refresh:")
            return None
    _login_page()
    return None


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show what the API refuses, or that it is away, in place of a traceback."""
    try:
        yield
    except ClientError as error:
        _show(error)


def script_error(error: Exception) -> bool:
    """What the reader sees of an error that no page has caught; Streamlit has written it to the log."""
    if isinstance(error, ClientError):
        _show(error)
    else:
        with st.container(key=BROKEN):
            problem(
                "This page has broken.",
                "Load it again. If that does not help: its traceback is at the end of `logs/ui.log` in the system's "
                "home.",
            )
    return True


def _show(error: ClientError) -> None:
    if isinstance(error, NotSignedIn):
        st.warning("Your session has ended. Load the page again to sign in.")
    else:
        st.error(_sentence(error) if isinstance(error, ApiError) else str(error))


def may_edit(user: UserView) -> bool:
    return user.role in (Role.editor, Role.admin)


@st.cache_data(ttl=300, show_spinner=False)
def _stages(_vise: ViseClient) -> list[StageView]:
    return _vise.stages()


def stages() -> dict[str, StageView]:
    """Stages by name; they change only with the software."""
    return {stage.name: stage for stage in _stages(client())}


def query_id(name: str) -> UUID | None:
    """An id of the page's address, or None."""
    try:
        return UUID(st.query_params.get(name, ""))
    except ValueError:
        return None


def _sentence(error: ApiError) -> str:
    if error.problem.errors:
        return "  \n".join(f"**{e.get('field')}**: {e.get('message')}" for e in error.problem.errors)
    return error.problem.detail or error.problem.title


def _here() -> str:
    """Path and query of the page that was asked for."""
    query = {name: st.query_params.get_all(name) for name in st.query_params if name != "login"}
    path = urlsplit(st.context.url or "").path or "/"
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def _login_page() -> None:
    page_title("VisE Studio", "Sign in, or open the link that `vise up` printed.")
    said = st.query_params.get("login")
    if said in _SENTENCES:
        st.error(_SENTENCES[said])
    # A plain form: the password goes to the server's route, which answers with a cookie scripts cannot read.
    st.html(
        f"""
        <form action="/auth/password" method="post" class="vise-login">
          <input type="hidden" name="page" value="{escape(_here(), quote=True)}">
          <label>E-mail<input name="email" type="email" autocomplete="username" required></label>
          <label>Password<input name="password" type="password" autocomplete="current-password" required></label>
          <button type="submit">Sign in</button>
        </form>
        """
    )
