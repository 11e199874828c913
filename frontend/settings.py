"""Settings of the pages' server, from environment variables with the prefix ``VISE_``."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class FrontendSettings(BaseSettings):
    """Addresses of the API and of the pages."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore", env_ignore_empty=True)

    api_url: str = Field(
        "http://127.0.0.1:8000", description="Address of the API as the pages' server reaches it."
    )
    public_api_url: str | None = Field(
        None, description="Address of the API for users' own programs, where it differs from the API URL."
    )
    port: int = Field(
        8501,
        validation_alias="STREAMLIT_SERVER_PORT",
        description="Port of the pages' server; `vise ui --port` sets it.",
    )
    trusted_proxies: str = Field(
        "",
        description="Proxies before the pages that may name a browser's address in `X-Forwarded-For`: addresses, "
        "networks (10.0.0.0/8) or host names, separated by commas.",
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


def public_url() -> str:
    """Return the address of the pages in browsers, without a path."""
    settings = FrontendSettings()
    return settings.public_url.rstrip("/") or f"http://127.0.0.1:{settings.port}"


def trusted_proxies() -> str:
    """Return the proxies before the pages that may name a browser's address."""
    return FrontendSettings().trusted_proxies


def secure_cookies() -> bool:
    """Return whether browsers reach the pages over HTTPS only."""
    return public_url().startswith("https://")


def session_cookie(address: str | None = None) -> str:
    """Return the name of the HttpOnly cookie that holds the session's token, of the pages at this address or of ours.

    Browsers send a cookie to every port of a host: without the port in its name, two systems on one host would sign
    each other's users out. They accept a name with ``__Host-`` only from the host itself, over HTTPS.
    """
    parts = urlsplit(address or public_url())
    secure = parts.scheme == "https"
    return f"{'__Host-' if secure else ''}vise_session_{parts.port or (443 if secure else 80)}"
