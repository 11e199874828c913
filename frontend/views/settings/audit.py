"""The audit log: who changed what, newest first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time

import streamlit as st

from frontend.components.paging import cursor_buttons
from frontend.components.table import show_rows
from frontend.session import client

PAGE = 25
KINDS = ("run", "model", "data set", "upload", "user", "token", "ablation", "removal of posts")


def audit_log() -> None:
    """Draw the audit log with its filters."""
    user, target, kind, since = st.columns(4)
    who = user.text_input("User", key="audit.who", placeholder="part of the e-mail", live=True)
    search = target.text_input("Object", key="audit.search", placeholder="name or id", live=True)
    selected = kind.selectbox("Kind", [None, *KINDS], format_func=lambda k: k or "any", key="audit.kind")
    day = since.date_input("Since", None, key="audit.since")
    page = client().audit(
        who=who or None,
        search=search or None,
        kind=selected,
        since=datetime.combine(day, time(), UTC) if day is not None else None,
        cursor=st.query_params.get("cursor"),
        limit=PAGE,
    )
    if not page.items:
        st.info("No changes match these filters.")
        return
    rows = [
        {
            "time": entry.at,
            "user": entry.email or "–",
            "action": f"{entry.action} {entry.kind}",
            "object": entry.target or str(entry.target_id or ""),
            "details": json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "",
        }
        for entry in page.items
    ]
    time_column = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")
    show_rows(rows, hide_index=True, column_config={"time": time_column})
    cursor_buttons(page.next_cursor)
