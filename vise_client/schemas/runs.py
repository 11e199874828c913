"""Runs: summary, status, progress, the whole record, events, logs and bulk actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.recipes.inputs import InputRef

from .artifacts import ArtifactView
from .datasets import DatasetReadView
from .metrics import NotFinite
from .run_states import RunKind, RunState
from .wire import Page, Request, Wire


class RunUpdate(Request):
    """What is null stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=200)
    tags: list[str] | None = Field(None, max_length=50)
    notes: str | None = Field(None, max_length=20_000, description="Markdown.")
    starred: bool | None = None
    archived: bool | None = None


class Progress(Wire):
    done: float
    total: float | None
    unit: str
    phase: str = ""
    seconds_left: float | None = Field(
        None, description="At the pace of this phase so far; null where nothing can be said yet."
    )


class RunRef(Wire):
    """A run by name, for a link."""

    id: UUID
    name: str
    state: RunState


class RunStatus(Wire):
    """What a run's state means just now; made by the server alone, so that all say the same.

    stalled: its worker is silent for longer than its lease. lost: that worker is gone. no worker: none serves its
    queue.
    """

    label: Literal[
        "waiting",
        "queued",
        "no worker",
        "running",
        "stalled",
        "lost",
        "cancelling",
        "pausing",
        "paused",
        "succeeded",
        "failed",
        "cancelled",
    ]
    sentence: str
    heartbeat_seconds: float | None = Field(None, description="Age of its worker's last sign of life.")
    waits_for: list[RunRef] = Field(default_factory=list, description="Runs that must succeed first.")
    traceback: str | None = Field(None, description="Its end, of a failed run.")


class RunSummary(Wire):
    """A row of the list: nothing that needs a join over metric points."""

    id: UUID
    kind: RunKind
    stage: str | None = Field(description="Null for a recipe or a sweep.")
    name: str
    state: RunState
    reason: str | None = Field(description="Why it failed, waits or was cancelled; one sentence.")
    parent_id: UUID | None
    step: str | None = Field(description="Its name within the parent.")
    tags: list[str]
    synthetic: bool
    attempt: int
    queue: str
    created_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    worker: str | None
    progress: Progress | None
    headline: dict[str, float] = Field(description="The few numbers of its result.")
    status: RunStatus
    notes: str
    starred: bool
    archived: bool
    group_key: str | None = Field(description="The same for runs that differ by seeds and splits alone.")
    columns: dict[str, Any] = Field(
        default_factory=dict, description="Values of the columns asked for, such as spec.base_lr."
    )


class RunPage(Page[RunSummary]):
    total: int | None = Field(None, description="Of all pages, where it was asked for.")


class BulkRequest(Request):
    """The same to each of some runs."""

    ids: list[UUID] = Field(min_length=1, max_length=1000)
    action: Literal[
        "tag",
        "untag",
        "star",
        "unstar",
        "archive",
        "unarchive",
        "delete",
        "cancel",
        "pause",
        "resume",
        "retry",
    ]
    tags: list[str] = Field(default_factory=list, max_length=50, description="For tag and untag.")


class BulkOutcome(Wire):
    id: UUID
    name: str
    done: bool
    message: str = Field(description="Why it was not done; empty where it was.")


class RunView(RunSummary):
    """One run, whole."""

    spec: dict[str, Any]
    inputs: dict[str, InputRef]
    datasets: dict[str, DatasetReadView] = Field(
        default_factory=dict,
        description="Role → what the run read of a data set, and which version that was.",
    )
    result: dict[str, Any] | None
    error: str | None = Field(description="End of the traceback of a failed run.")
    artifacts: list[ArtifactView]
    latest: dict[str, float | NotFinite] = Field(description="Latest value of each metric.")
    children: list[RunSummary] = Field(description="Of a recipe or sweep, in order; at most 1000.")


class EventView(Wire):
    at: datetime
    from_state: str | None
    to_state: str
    detail: str


LogLevel = Literal["debug", "info", "warning", "error"]


class LogLine(Wire):
    id: int
    at: datetime
    level: str
    message: str
