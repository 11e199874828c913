"""Settings of API, dispatcher and workers, from environment variables with the prefix ``VISE_``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Addresses, folders, limits and times of API, dispatcher and workers. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="VISE_", extra="ignore")

    database_url: str = Field(description="postgresql+psycopg://user:password@host/name")
    broker_url: str = Field(description="redis://:password@host:port/0")
    storage_url: str = Field(description="file:///folder or s3://bucket/prefix")
    public_url: str = Field(
        "http://127.0.0.1:8501", description="Address of the pages in browsers, for sign-in links."
    )
    trusted_proxies: str = Field(
        "",
        description="Proxies that may name a client's address in `X-Forwarded-For`, such as the pages' server: "
        "addresses, networks (10.0.0.0/8) or host names, separated by commas.",
    )
    home: Path = Field(Path(".vise"), description="Folder of all local state.")
    worker_name: str | None = Field(None, description="Name of a worker; default: host and process id.")
    cuda_visible_devices: str | None = Field(
        None,
        validation_alias="CUDA_VISIBLE_DEVICES",
        description="GPUs that a worker may use, and reports on.",
    )
    admin_password: str | None = Field(
        None, description="Password for `vise admin create`; without, the command prompts for it.", repr=False
    )
    work: Path | None = Field(None, description="Workspaces of runs; default: work below home.")
    preload: bool = Field(
        True,
        description="Whether a worker imports the libraries of all stages when it starts, so that runs start at once. "
        "Off saves their memory (some 700 MB), and each run imports what it needs.",
    )
    data_root: Path | None = Field(None, description="Folders below it may be registered as data sets.")
    lease_seconds: float = Field(
        15, gt=0.2, description="A worker without a heartbeat for longer loses its run."
    )
    reconcile_seconds: float = Field(5, gt=0, description="Time between two passes of the reconciler.")
    republish_seconds: float = Field(
        20, gt=0, description="A run queued for longer, while its queue is empty, is published again."
    )
    max_attempts: int = Field(5, ge=1, description="Times that a run is tried if its workers are lost.")
    memory_attempts: int = Field(
        2, ge=1, description="The same where its process was killed, most likely because memory ran out."
    )
    disk_attempts: int = Field(5, ge=1, description="The same where its worker's disk is full.")
    retry_seconds: float = Field(
        10,
        ge=0,
        description="Pause before the second attempt, doubled each time, up to 10 minutes. After the first loss of a "
        "worker the next one continues at once.",
    )
    max_run_hours: float = Field(
        0,
        ge=0,
        description="An attempt of a run that takes longer is stopped, and the run fails; 0: no limit. A run may have "
        "a limit of its own (`max_hours`).",
    )
    silent_minutes: float = Field(
        24 * 60,
        ge=0,
        description="A run whose stage reports nothing (no metric, progress or log line) for so many minutes is stopped "
        "and fails; 0: no limit.",
    )
    cancel_grace_seconds: float = Field(60, gt=0, description="Time to save state before SIGKILL.")
    run_niceness: int = Field(
        10,
        ge=0,
        le=19,
        description="Priority of runs: how much their processes give way to the API, predictions and PostgreSQL on the same "
        "host, as in `nice`. 0 shares the processors evenly, 19 leaves runs what the others do not use.",
    )
    telemetry_seconds: float = Field(
        5, gt=0, description="Time between two samples of a run's CPU, memory and GPU."
    )
    max_upload_bytes: int = Field(64 * 2**20, ge=1024, description="Largest image of a prediction request.")
    stalled_upload_seconds: float = Field(
        30, gt=0, description="An upload of which nothing arrives for so long is given up."
    )
    upload_seconds: float = Field(
        600,
        gt=0,
        description="An upload is given up that takes longer, and longer than its bytes take at "
        "`VISE_UPLOAD_BYTES_PER_SECOND`.",
    )
    upload_bytes_per_second: float = Field(
        64 * 2**10, gt=0, description="Slowest upload after the first `VISE_UPLOAD_SECONDS`."
    )
    max_dataset_bytes: int = Field(
        20 * 2**30, ge=1024, description="Largest archive that may be uploaded as data."
    )
    max_children: int = Field(1000, ge=1, description="Most steps of a recipe, and points of a sweep.")
    max_open_runs: int = Field(5000, ge=1, description="Most unfinished runs of a user.")
    max_user_upload_bytes: int = Field(
        500 * 2**30, ge=1024, description="Most bytes of archives that a user has uploaded and not deleted."
    )
    max_predictions_per_minute: int = Field(6000, ge=1, description="Most requested predictions of a user.")
    gc_seconds: float = Field(
        300, gt=0, description="Time between two passes that remove what deleted and dead runs left."
    )
    gc_scan_seconds: float = Field(
        6 * 3600,
        gt=0,
        description="Time between two passes over the whole storage; the first comes after one.",
    )
    gc_grace_seconds: float = Field(
        24 * 3600,
        ge=0,
        description="What no row names is kept for so long. Longer than storing an artifact ever takes.",
    )
    kept_checkpoints: int = Field(
        2,
        ge=1,
        description="Saved states that an unfinished run keeps: if the newest is lost, an older one is used.",
    )
    saved_state_days: float = Field(
        30,
        ge=0,
        description="A failed or cancelled run keeps its state for so long; a later retry starts over.",
    )
    keep_archives: bool = Field(
        False, description="Keep uploaded archives beside their unpacked copy, until their run is deleted."
    )
    prediction_timeout_seconds: float = Field(
        120, gt=0, description="A prediction that is queued for longer fails."
    )
    loaded_models_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="Weights that a prediction worker keeps in memory: the models used last, the newest in any case.",
    )

    @property
    def workspaces(self) -> Path:
        """Folder of the workspaces."""
        return self.work or self.home / "work"


@cache
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return Settings()
