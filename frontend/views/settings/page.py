"""Settings: account and API tokens; for admins, users, removals of posts and the audit log."""

from __future__ import annotations

from frontend.components.layout import page_tabs, page_title
from frontend.session import is_admin, show_errors
from frontend.views.settings.account import account
from frontend.views.settings.audit import audit_log
from frontend.views.settings.removals import removals
from frontend.views.settings.tokens import tokens
from frontend.views.settings.users import users

TABS = {"Account": account, "API tokens": tokens}
ADMIN_TABS = {"Users": users, "Removals": removals, "Audit log": audit_log}

page_title("Settings", "Your account and API tokens; for admins, users, removals of posts and the audit log.")
with show_errors():
    page_tabs(TABS | ADMIN_TABS if is_admin() else TABS, key="settings.tab")
