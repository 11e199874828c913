"""API tokens: create one, which is shown once; list and revoke them."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import minute, plain
from frontend.session import client, current_user
from vise_client.schemas.accounts import Role, TokenCreate, TokenView


def tokens() -> None:
    """Draw the API tokens of the user, with a form that creates one."""
    st.write("For scripts and the command line: set `VISE_TOKEN` and `VISE_API_URL`.")
    with st.form("token"):
        name = st.text_input("Name of the token", max_chars=80)
        roles = list(Role)[: list(Role).index(current_user().role) + 1]
        role = st.selectbox(
            "Role",
            roles,
            index=len(roles) - 1,
            format_func=lambda role: role.value,
            help="At most your own role.",
        )
        days = st.number_input("Days until it expires", 1, 3650, 90)
        if st.form_submit_button("Create token"):
            token = client().create_token(
                TokenCreate(name=name or "token", role=role, expires_days=int(days))
            )
            st.success("Copy the token now. It is not shown again.")
            st.code(token.token, language=None)
    for listed in client().tokens():
        _row(listed)


def _row(token: TokenView) -> None:
    with st.container(border=True, key=f"row-{token.id}"):
        about, action = st.columns([4, 1], vertical_alignment="center")
        expiry = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "does not expire"
        used = f"last used {minute(token.last_used_at)}" if token.last_used_at else "never used"
        about.markdown(f"**{plain(token.name)}** {token.role.value}, {expiry}, {used}")
        if action.button("Revoke", key=f"revoke-{token.id}"):
            client().revoke_token(token.id)
            st.rerun()
