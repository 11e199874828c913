"""Settings of the server's processes, from the environment (prefix ``VISE_``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how patient the engine is. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore")

    database_url: str = Field(description="postgresql+psycopg://user:password@host/name")
    broker_url: str = Field(description="redis://:password@host:port/0")
    storage_url: str = Field(description="file:///folder or s3://bucket/prefix")
    home: Path = Path(".vise")
    work: Path | None = Field(None, description="Workspaces of runs; default: work below home.")
    data_root: Path | None = Field(None, description="Folders below it may be registered as data sets.")
    api_url: str = "http://127.0.0.1:8000"
    public_url: str = Field("http://127.0.0.1:8501", description="Where people open the pages.")
    lease_seconds: float = Field(15, gt=0.2, description="A worker silent for longer has lost its run.")
    reconcile_seconds: float = Field(5, gt=0, description="Time between two sweeps of the reconciler.")
    republish_seconds: float = Field(
        20, gt=0, description="A run queued longer, while its queue is empty, is announced again."
    )
    max_attempts: int = Field(5, ge=1, description="Times a run is taken up before it counts as failed.")
    cancel_grace_seconds: float = Field(60, gt=0, description="Time to save state before SIGKILL.")
    telemetry_seconds: float = Field(
        5, gt=0, description="Time between two looks at a run's CPU, memory, GPU."
    )
    max_upload_bytes: int = Field(64 * 2**20, ge=1024)
    max_dataset_bytes: int = Field(
        20 * 2**30, ge=1024, description="Largest archive that may be uploaded as data."
    )
    fetch_networks: str = Field(
        "",
        description="Networks besides the public ones that data may be downloaded from, also over http; "
        "comma-separated, such as 10.0.0.0/8. Workers read it too.",
    )
    prediction_timeout_seconds: float = Field(120, gt=0)
    loaded_models_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="Weights that a prediction worker keeps in memory; the models used last stay. The newest does in "
        "any case.",
    )

    @property
    def workspaces(self) -> Path:
        return self.work or self.home / "work"


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
