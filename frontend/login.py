"""The login page."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode, urlsplit

import streamlit as st

from frontend.components.health import part_problems
from frontend.components.layout import page_title
from frontend.session import client, show_errors
from frontend.settings import session_cookie
from vise_client.errors import ApiError, NotSignedIn, Unreachable
from vise_client.schemas.accounts import UserView

FAILURES = {
    "failed": "Sign-in failed: the e-mail, the password or the link is wrong, or the link was used already. `vise login-link` prints a new one.",
    "wait": "Too many wrong passwords. Wait a moment, up to five minutes, then try again.",
    "unreachable": "The API does not respond. Start it with `vise up`.",
}
"""Reason in the address, as ``serve.py`` writes it, and the message."""


def signed_in() -> UserView | None:
    """Return the user of this browser; without one, draw the login page and return None."""
    if st.context.cookies.get(session_cookie()):
        try:
            return client().me()
        except NotSignedIn:
            pass
        except Unreachable:
            st.error("The API does not respond. Its log is in the folder `logs` of `$VISE_HOME`.")
            st.button("Try again", icon=":material/refresh:")
            return None
        except ApiError as error:
            # No page can be drawn while users cannot be looked up. What is wrong can: health needs no user.
            with show_errors():
                raise error
            _problems()
            st.button("Try again", icon=":material/refresh:")
            return None
    _login_page()
    return None


@st.fragment(run_every=4)
def _problems() -> None:
    with show_errors():
        part_problems(client().health())


def _login_page() -> None:
    page_title("VisE Studio", "Sign in, or open the link that `vise up` or `vise login-link` printed.")
    reason = st.query_params.get("login")
    if reason in FAILURES:
        st.error(FAILURES[reason])
    # A plain form: the password goes to the server's route, whose response sets a cookie that scripts cannot read.
    st.html(
        f"""
        <form action="/auth/password" method="post" class="vise-login">
          <input type="hidden" name="page" value="{escape(_requested_page(), quote=True)}">
          <label>E-mail<input name="email" type="email" autocomplete="username" required></label>
          <label>Password<input name="password" type="password" autocomplete="current-password" required></label>
          <button type="submit">Sign in</button>
        </form>
        """
    )


def _requested_page() -> str:
    """Path and query of the page to show after the sign-in."""
    query = {name: st.query_params.get_all(name) for name in st.query_params if name != "login"}
    path = urlsplit(st.context.url or "").path or "/"
    return f"{path}?{urlencode(query, doseq=True)}" if query else path
