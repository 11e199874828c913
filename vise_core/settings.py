"""Settings of the computing core, from environment variables with the prefix ``VISE_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CoreSettings(BaseSettings):
    """Caches and downloads of the stages, in workers and in `vise run --local`."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore", env_ignore_empty=True)

    cache: Path | None = Field(
        None,
        description="Folder of files that are kept between runs. Default: `vise` in the account's cache folder. "
        "Where it cannot be written, runs go on without.",
    )
    features_cache_bytes: str = Field(
        str(50 * 2**30), description="Size of the cache of features; the least recently used are evicted."
    )
    fetch_networks: str = Field(
        "",
        description="Networks besides the public ones that data may be downloaded from, also over http; "
        "comma-separated, such as `10.0.0.0/8`.",
    )
    dask_scheduler: str = Field(
        "",
        description="Scheduler of the Dask cluster that computes for the data stages of this host, `tls://host:port`. "
        "`tcp://` is accepted on loopback only.",
    )
    dask_ca: Path | None = Field(
        None, description="PEM file of the authority that signed the cluster's certificates."
    )
    dask_certificate: Path | None = Field(
        None, description="PEM file of this host's certificate for the cluster."
    )
    dask_key: Path | None = Field(None, description="PEM file of its private key.")
