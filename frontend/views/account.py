"""Account: who you are, and tokens for scripts."""

from __future__ import annotations

import streamlit as st

from frontend.session import client, errors_as_sentences
from vise_client.schemas import TokenCreate

user = st.session_state["user"]
st.title("Account")
st.write(f"Signed in as **{user.email}**, role **{user.role.value}**.")
st.link_button("Sign out", "/auth/logout", icon=":material/logout:")
st.subheader("API tokens")
st.write("For scripts and the command line: set `VISE_TOKEN` and `VISE_API_URL`.")
with errors_as_sentences():
    with st.form("token"):
        name = st.text_input("Name of the token")
        days = st.number_input("Days until it expires", 1, 3650, 90)
        if st.form_submit_button("Create"):
            made = client().create_token(TokenCreate(name=name or "token", expires_days=int(days)))
            st.success("Copy it now; it is not shown again.")
            st.code(made.token, language=None)
    for token in client().tokens():
        about, action = st.columns([4, 1], vertical_alignment="center")
        until = f", until {token.expires_at:%Y-%m-%d}" if token.expires_at else ""
        about.write(f"**{token.name}** ({token.role.value}{until})")
        if action.button("Revoke", key=f"revoke-{token.id}"):
            client().revoke_token(token.id)
            st.rerun()
