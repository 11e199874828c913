"""Runs: summary, status, progress, the whole record, events, logs and bulk actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.base import Tag
from vise_core.specs.recipes.inputs import InputRef

from .artifacts import ArtifactView
from .datasets import DatasetReadView
from .metrics import NotFinite
from .run_states import RunKind, RunState
from .wire import Page, RequestBody, ResponseBody, UpdateBody


class RunUpdate(UpdateBody):
    """Changes of a run; null leaves a field as it is."""

    name: str | None = Field(None, min_length=1, max_length=200)
    tags: list[Tag] | None = Field(None, max_length=50)
    notes: str | None = Field(None, max_length=20_000, description="Markdown.")
    starred: bool | None = None
    archived: bool | None = None


class Progress(ResponseBody):
    """Progress of a running run."""

    done: float
    total: float | None
    unit: str
    phase: str = ""
    seconds_left: float | None = Field(
        None, description="Estimate from the pace of this phase so far; null before there is one."
    )


class RunRef(ResponseBody):
    """Id, name and state of a run, for a link."""

    id: UUID
    name: str
    state: RunState


class RunStatus(ResponseBody):
    """Status of a run in words, as the server shows it to all users.

    stalled: no heartbeat of its worker for longer than the lease. lost: its worker is gone. no worker: none serves its
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
    heartbeat_seconds: float | None = Field(
        None, description="Seconds since the last heartbeat of its worker."
    )
    waits_for: list[RunRef] = Field(default_factory=list, description="Runs that must succeed first.")
    traceback: str | None = Field(None, description="End of the traceback of a failed run.")


class RunSummary(ResponseBody):
    """A row of the run list."""

    id: UUID
    kind: RunKind
    stage: str | None = Field(description="Null for a recipe or a sweep.")
    name: str
    state: RunState
    reason: str | None = Field(description="Why the run failed, waits or was cancelled, in one sentence.")
    parent_id: UUID | None
    step: str | None = Field(description="Name of the step within the parent run.")
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
    headline: dict[str, float] = Field(description="Main metrics of the result.")
    status: RunStatus
    notes: str
    starred: bool
    archived: bool
    group_key: str | None = Field(description="Equal for runs that differ by seeds and splits only.")
    columns: dict[str, Any] = Field(
        default_factory=dict, description="Values of the requested columns, such as spec.base_lr."
    )


class RunPage(Page[RunSummary]):
    """One page of the run list."""

    total: int | None = Field(None, description="Number of runs on all pages, where requested.")


class BulkRequest(RequestBody):
    """One action to apply to many runs."""

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
    tags: list[Tag] = Field(
        default_factory=list,
        max_length=50,
        description="Tags to add or remove, for the actions tag and untag.",
    )


class BulkOutcome(ResponseBody):
    """Outcome of a bulk action for one run."""

    id: UUID
    name: str
    done: bool
    message: str = Field(description="Why the action was not applied; empty where it was.")


class RunView(RunSummary):
    """A run with its spec, inputs, result, artifacts, latest metrics and children."""

    spec: dict[str, Any]
    inputs: dict[str, InputRef]
    datasets: dict[str, DatasetReadView] = Field(
        default_factory=dict,
        description="Input role → the data set and version that the run reads.",
    )
    deleted_inputs: list[str] = Field(
        default_factory=list,
        description="Names of deleted data sets that the run, or a run that it reads from, has read.",
    )
    max_hours: float | None = Field(None, description="Time limit of an attempt; None: the server's.")
    result: dict[str, Any] | None
    error: str | None = Field(description="End of the traceback of a failed run.")
    artifacts: list[ArtifactView]
    latest: dict[str, float | NotFinite] = Field(description="Latest value of each metric.")
    children: list[RunSummary] = Field(description="Child runs of a recipe or sweep, in order; at most 1000.")


class EventView(ResponseBody):
    """A change of a run's state."""

    at: datetime
    from_state: str | None
    to_state: str
    detail: str


LogLevel = Literal["debug", "info", "warning", "error"]


class LogLine(ResponseBody):
    """A line of a run's log."""

    id: int
    at: datetime
    level: str
    message: str
