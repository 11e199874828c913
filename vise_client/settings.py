"""Settings of the client and the command line, from environment variables with the prefix ``VISE_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClientSettings(BaseSettings):
    """Which server the `vise` command talks to."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore", env_ignore_empty=True)

    token: str | None = Field(None, description="API token. Without: that of `vise up`, or of `vise login`.")
    api_url: str = Field(
        "http://127.0.0.1:8000", description="Address of the API, used together with the token."
    )
    home: Path = Field(Path(".vise"), description="Folder that holds all state of `vise up`.")
    data_root: Path | None = Field(
        None, description="Data root of a server on this machine, whose folders may be named by their path."
    )
