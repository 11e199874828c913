"""API tokens: create one, which is shown once; list and revoke them."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import minute, plain
from frontend.session import client, current_user
from vise_client.errors import ApiError
from vise_client.schemas.accounts import ROLE_SCOPES, SCOPES, Scope, TokenCreate, TokenView


def tokens() -> None:
    """Draw the API tokens of the user, with a form that creates one."""
    st.write("For scripts and the command line: set `VISE_TOKEN` and `VISE_API_URL`.")
    with st.form("token"):
        name = st.text_input("Name of the token", max_chars=80)
        allowed = ROLE_SCOPES[current_user().role]
        scopes = st.multiselect(
            "Scopes",
            allowed,
            default=allowed,
            format_func=lambda scope: f"{scope.value}: {SCOPES[scope]}",
            help="What the token may do. At most what your role allows.",
        )
        days = st.number_input(
            "Days until it expires", 1, 3650, None, placeholder="when your session ends, within 14 days"
        )
        password = st.text_input(
            "Your password", type="password", help="Needed only for a token that outlives your session."
        )
        if st.form_submit_button("Create token"):
            _create(name, scopes, days, password)
    for listed in client().tokens():
        _row(listed)


def _create(name: str, scopes: list[Scope], days: int | None, password: str) -> None:
    if not scopes:
        st.error("Choose at least one scope.")
        return
    body = TokenCreate(name=name or "token", scopes=scopes, expires_days=days, password=password or None)
    try:
        token = client().create_token(body)
    except ApiError as error:
        st.error(plain(error.problem.detail))
    else:
        st.success("Copy the token now. It is not shown again.")
        st.code(token.token, language=None)


def _row(token: TokenView) -> None:
    with st.container(border=True, key=f"row-{token.id}"):
        about, action = st.columns([4, 1], vertical_alignment="center")
        expiry = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "does not expire"
        used = f"last used {minute(token.last_used_at)}" if token.last_used_at else "never used"
        about.markdown(f"**{plain(token.name)}** {', '.join(token.scopes)}; {expiry}, {used}")
        if action.button("Revoke", key=f"revoke-{token.id}"):
            client().revoke_token(token.id)
            st.rerun()
