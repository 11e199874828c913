"""The settings of the pages' server."""

from __future__ import annotations

import os

COOKIE = "vise_session"
"""Name of the HttpOnly cookie that holds the session's token."""


def api_url() -> str:
    """The API's address as this server reaches it."""
    return os.environ.get("VISE_API_URL", "http://127.0.0.1:8000")


def public_api_url() -> str:
    """The API's address for users' own programs; in containers it differs from ``api_url``."""
    return os.environ.get("VISE_PUBLIC_API_URL") or api_url()


def secure_cookies() -> bool:
    """Whether browsers reach the pages by HTTPS only."""
    return os.environ.get("VISE_PUBLIC_URL", "").startswith("https://")
