"""Users: add them, change their roles, deactivate and delete them."""

from __future__ import annotations

import streamlit as st

from frontend.components.derived import NAMED, confirm_deletion
from frontend.components.paging import paged_list
from frontend.formatting import plain
from frontend.session import client, current_user, last_shown, show_errors
from frontend.views.settings.account import LEAST_PASSWORD
from vise_client.schemas.accounts import Role, UserCreate, UserUpdate, UserView


def users() -> None:
    """Draw the users, with forms that add and change them."""
    with st.popover("Add a user", icon=":material/person_add:"), st.form("new-user"):
        _add_form()
    paged_list("users", "Part of the e-mail", client().users, _row)


def _add_form() -> None:
    email = st.text_input("E-mail")
    password = st.text_input(
        "First password",
        type="password",
        help=f"At least {LEAST_PASSWORD} characters; the user can change it.",
    )
    role = st.selectbox("Role", list(Role), format_func=lambda role: role.value)
    if not st.form_submit_button("Add", type="primary"):
        return
    if "@" not in email or len(password) < LEAST_PASSWORD:
        st.error(f"Enter an e-mail address and a password of at least {LEAST_PASSWORD} characters.")
        return
    client().create_user(UserCreate(email=email.strip(), password=password, role=role))
    st.rerun()


def _row(user: UserView) -> None:
    with st.container(border=True, key=f"row-{user.id}"):
        about, role, active, gone = st.columns([4, 2, 2, 2], vertical_alignment="center")
        mark = "" if user.active else " :red-badge[deactivated]"
        about.markdown(f"**{plain(user.email)}**{mark}  \nsince {user.created_at:%Y-%m-%d}")
        if user.id == current_user().id:
            role.markdown(f"{user.role.value}, you")
            return
        shown = last_shown(f"shown-{user.id}", {"role": user.role.value})
        with role.popover(user.role.value, icon=":material/manage_accounts:"):
            _role_form(user, shown)
        # The label is part of the key: a click on "Deactivate" never reactivates a user whom another admin deactivated.
        label = "Deactivate" if user.active else "Reactivate"
        if active.button(label, key=f"{label}-{user.id}"):
            change = UserUpdate(active=not user.active, expected={"active": user.active})
            client().update_user(user.id, change)
            st.rerun()
        if gone.button("Delete", key=f"delete-{user.id}"):
            _delete_dialog(user)


@st.dialog("Delete this user?", width="large")
def _delete_dialog(user: UserView) -> None:
    st.write(
        f"This deletes **{plain(user.email)}** for good, with tokens, saved views, predictions and feedback. Runs, models "
        "and data sets stay, and belong to the admins."
    )
    with show_errors():
        derived = client().user_derived(user.id, limit=NAMED)
        confirm_deletion("Delete user", derived, lambda: client().delete_user(user.id))


def _role_form(user: UserView, shown: dict[str, str]) -> None:
    with st.form(f"role-{user.id}", border=False):
        selected = st.selectbox(
            f"Role of {plain(user.email)}",
            list(Role),
            index=list(Role).index(user.role),
            format_func=lambda role: role.value,
        )
        if st.form_submit_button("Change role", type="primary") and (
            change := UserUpdate.of_changes(shown, {"role": selected and selected.value})
        ):
            with show_errors():
                client().update_user(user.id, change)
                st.rerun()
