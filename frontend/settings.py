"""Settings of the pages' server, from environment variables with the prefix ``VISE_``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

COOKIE = "vise_session"
"""Name of the HttpOnly cookie that holds the session's token."""


class FrontendSettings(BaseSettings):
    """Addresses of the API and of the pages."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore", env_ignore_empty=True)

    api_url: str = Field(
        "http://127.0.0.1:8000", description="Address of the API as the pages' server reaches it."
    )
    public_api_url: str | None = Field(
        None, description="Address of the API for users' own programs, where it differs from the API URL."
    )
    public_url: str = Field(
        "", description="Address of the pages; with https:// cookies are sent over HTTPS only."
    )


def api_url() -> str:
    """Return the API's address as this server reaches it."""
    return FrontendSettings().api_url


def public_api_url() -> str:
    """Return the API's address for users' own programs."""
    settings = FrontendSettings()
    return settings.public_api_url or settings.api_url


def secure_cookies() -> bool:
    """Return whether browsers reach the pages over HTTPS only."""
    return FrontendSettings().public_url.startswith("https://")
