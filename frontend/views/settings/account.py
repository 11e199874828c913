"""The signed-in account: sign out, change the password."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from frontend.session import client, current_user
from vise_client.schemas.accounts import PasswordChange

LEAST_PASSWORD = 12
"""Characters of a password, as the API requires."""


def account() -> None:
    """Draw the user's role, and forms to sign out and to change the password."""
    user = current_user()
    st.write(f"Signed in as **{plain(user.email)}** with the role **{user.role.value}**.")
    # A form, since a link of another site would sign the user out.
    st.html(
        '<form action="/auth/logout" method="post" class="vise-logout"><button type="submit">Sign out</button></form>'
    )
    st.header("Password", anchor=False)
    with st.form("password", clear_on_submit=True):
        current = st.text_input("Current password", type="password", help="Leave empty if you have none yet.")
        new = st.text_input("New password", type="password", help=f"At least {LEAST_PASSWORD} characters.")
        repeated = st.text_input("Repeat the new password", type="password")
        if not st.form_submit_button("Change password"):
            return
    if len(new) < LEAST_PASSWORD:
        st.error(f"The new password needs at least {LEAST_PASSWORD} characters.")
    elif new != repeated:
        st.error("The two new passwords differ.")
    else:
        client().change_password(PasswordChange(current=current, new=new))
        st.success("The password is changed. Your other sessions have ended.")
