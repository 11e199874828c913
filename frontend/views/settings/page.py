"""Settings: your account and tokens; for admins users, roles and the audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from typing import Any

import streamlit as st

from frontend.components.layout import page_title
from frontend.components.paging import cursor_buttons, page_buttons, page_number
from frontend.formatting import plain
from frontend.session import client, current_user, is_admin, show_errors
from vise_client.schemas.accounts import PasswordChange, Role, TokenCreate, UserCreate, UserUpdate, UserView

PAGE = 25
RANKS = list(Role)
AUDITED = ("run", "model", "data set", "upload", "user", "token")

user = current_user()


def account() -> None:
    """Who you are; a new password."""
    st.write(f"Signed in as **{user.email}**, role **{user.role.value}**.")
    st.link_button("Sign out", "/auth/logout", icon=":material/logout:")
    st.header("Password", anchor=False)
    with st.form("password", clear_on_submit=True):
        current = st.text_input("Current password", type="password", help="Empty where you have none yet.")
        new = st.text_input("New password", type="password", help="At least 12 characters.")
        again = st.text_input("New password again", type="password")
        if st.form_submit_button("Change it"):
            if len(new) < 12:
                st.error("The new password needs at least 12 characters.")
            elif new != again:
                st.error("The two new passwords differ.")
            else:
                client().change_password(PasswordChange(current=current, new=new))
                st.success("It is changed. Your other sessions have ended.")


def tokens() -> None:
    """API tokens: made, shown once, revoked."""
    st.write("For scripts and the command line: set `VISE_TOKEN` and `VISE_API_URL`.")
    with st.form("token"):
        name = st.text_input("Name of the token", max_chars=80)
        mine = RANKS[: RANKS.index(user.role) + 1]
        role = st.selectbox(
            "Role", mine, index=len(mine) - 1, format_func=lambda r: r.value, help="At most your own."
        )
        days = st.number_input("Days until it expires", 1, 3650, 90)
        if st.form_submit_button("Create"):
            made = client().create_token(TokenCreate(name=name or "token", role=role, expires_days=int(days)))
            st.success("Copy it now; it is not shown again.")
            st.code(made.token, language=None)
    for token in client().tokens():
        with st.container(border=True, key=f"row-{token.id}"):
            about, action = st.columns([4, 1], vertical_alignment="center")
            until = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "without an end"
            used = f"last used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            about.markdown(f"**{plain(token.name)}** {token.role.value}, {until}, {used}")
            if action.button("Revoke", key=f"revoke-{token.id}"):
                client().revoke_token(token.id)
                st.rerun()


def users() -> None:
    """Everybody who may sign in."""
    with st.popover("Add a user", icon=":material/person_add:"), st.form("new-user"):
        email = st.text_input("E-mail")
        password = st.text_input(
            "First password", type="password", help="At least 12 characters; they change it."
        )
        role = st.selectbox("Role", RANKS, format_func=lambda r: r.value)
        if st.form_submit_button("Add", type="primary"):
            if "@" not in email or len(password) < 12:
                st.error("Give an e-mail address, and a password of at least 12 characters.")
            else:
                client().create_user(UserCreate(email=email.strip(), password=password, role=role))
                st.rerun()
    search = st.text_input("Search users", key="users.search", placeholder="Part of the address", live=True)
    number = page_number()
    found = client().users(search=search, offset=PAGE * number, limit=PAGE + 1)
    for one in found[:PAGE]:
        _user(one)
    page_buttons(number, more=len(found) > PAGE)


def _user(one: UserView) -> None:
    with st.container(border=True, key=f"row-{one.id}"):
        about, role, shut = st.columns([4, 2, 2], vertical_alignment="center")
        off = "" if one.active else " :red-badge[shut off]"
        about.markdown(f"**{plain(one.email)}**{off}  \nsince {one.created_at:%Y-%m-%d}")
        if one.id == user.id:
            role.markdown(f"{one.role.value}, you")
            return
        chosen = role.selectbox(
            f"Role of {one.email}",
            RANKS,
            index=RANKS.index(one.role),
            format_func=lambda r: r.value,
            key=f"role-{one.id}",
            label_visibility="collapsed",
        )
        if chosen is not one.role:
            client().update_user(one.id, UserUpdate(role=chosen))
            st.rerun()
        if shut.button("Shut off" if one.active else "Let in again", key=f"shut-{one.id}"):
            client().update_user(one.id, UserUpdate(active=not one.active))
            st.rerun()


def audit() -> None:
    """Who changed what, newest first."""
    who, what, kind, since = st.columns(4)
    query: dict[str, Any] = {
        "who": who.text_input("Who", key="audit.who", placeholder="part of the address", live=True),
        "search": what.text_input("What", key="audit.search", placeholder="name or id", live=True),
        "kind": kind.selectbox("Kind", [None, *AUDITED], format_func=lambda k: k or "any", key="audit.kind"),
    }
    day = since.date_input("Since", None, key="audit.since")
    if day is not None:
        query["since"] = datetime.combine(day, time(), UTC)
    page = client().audit(**query, cursor=st.query_params.get("cursor"), limit=PAGE)
    if not page.items:
        st.info("Nothing was changed that matches.")
        return
    st.dataframe(
        [
            {
                "when": entry.at,
                "who": entry.email or "–",
                "did": f"{entry.action} {entry.kind}",
                "what": entry.target or str(entry.target_id or ""),
                "detail": json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "",
            }
            for entry in page.items
        ],
        hide_index=True,
        column_config={"when": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")},
    )
    cursor_buttons(page.next_cursor)


TABS = {"Account": account, "API tokens": tokens}
if is_admin():
    TABS |= {"Users": users, "Audit log": audit}

page_title("Settings", "Your account and API tokens; for admins the users and what was changed by whom.")
with show_errors():
    start = st.query_params.get("tab", "Account")
    tab = st.segmented_control(
        "Show",
        list(TABS),
        default=start if start in TABS else "Account",
        label_visibility="collapsed",
        key="settings.tab",
    )
    if (tab or "Account") != start:
        st.query_params.from_dict({"tab": tab or "Account"})
    TABS[tab or "Account"]()
