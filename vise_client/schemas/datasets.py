"""Data sets, their versions, and the runs that read them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.survey import DataKind, SurveyResult

from .run_states import RunState
from .wire import Page, Request, Wire


class DatasetCreate(Request):
    """Register a folder below the server's data root."""

    name: str = Field(min_length=1, max_length=120)
    kind: Literal["posts", "images", "weights"] = Field(
        description="posts: to ingest. images: labelled, to evaluate on. weights: of a backbone, or a text encoder."
    )
    folder: str = Field(min_length=1, max_length=1000, description="Relative to the server's data root.")
    description: str = Field("", max_length=2000)


class DatasetFromUrl(Request):
    """Download a data set; a worker does it, and unpacks what it gets."""

    name: str = Field(min_length=1, max_length=120)
    kind: DataKind = "images"
    url: str = Field(max_length=2000)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    description: str = Field("", max_length=2000)


class DatasetUpdate(Request):
    """Rename or describe a data set; what is null stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=120, pattern=r"\S")
    description: str | None = Field(None, max_length=2000)


class DatasetVersionView(Wire):
    """One content of a data set, as a survey found it."""

    number: int
    sha256: str = Field(description="Digest of the manifest of all files.")
    files: int
    bytes: int
    created_at: datetime
    checked_at: datetime = Field(description="When the newest survey found this content.")
    run_id: UUID | None = Field(description="The run that first found this content; null: deleted.")
    survey_id: UUID | None = Field(description="The newest run that found this content; null: deleted.")
    found: SurveyResult | None = Field(None, description="What the newest survey of this content counted.")
    runs: int = Field(0, description="Runs that read this version; surveys aside.")
    same_as: int | None = Field(None, description="An earlier version with the same content.")


class FolderChanges(Wire):
    """Whether a registered folder still is its newest version: by names, sizes and times; no file is read."""

    state: Literal["same", "changed", "checking", "missing", "unknown", "unsurveyed", "immutable"]
    version: int | None = Field(None, description="The newest version, with which the folder is compared.")
    added: int = 0
    changed: int = 0
    removed: int = 0
    first: tuple[str, ...] = Field((), description="The first few of these files.")
    sentence: str

    @property
    def settled(self) -> bool:
        """Whether a run that starts now reads the newest version, as far as names, sizes and times tell."""
        return self.state in ("same", "immutable")


class DatasetReadView(Wire):
    """What a run read of a data set. ``version`` is given only where the bytes were those of the version."""

    dataset_id: UUID
    name: str = Field(description="Of the data set now; of a removed one, its name when the run was created.")
    removed: bool = False
    sha256: str | None = Field(description="Digest of what the run read; null: it has not read it yet.")
    version: int | None = Field(description="The version with this digest; null: none has it.")
    newest: int | None = Field(description="The newest version when the run read it.")
    latest: int | None = Field(None, description="The newest version now.")

    @property
    def which(self) -> str:
        """``version 2``; says where the version is not known."""
        if self.version is not None:
            return f"version {self.version}"
        if self.sha256 is None:
            return "not read yet"
        if self.newest is None:
            return "version unknown"
        return f"version unknown: the folder changed after version {self.newest}"

    @property
    def label(self) -> str:
        """``emotions, version 2``."""
        name = f"{self.name} (removed)" if self.removed else self.name
        return f"{name}, {self.which}"


class DatasetUse(Wire):
    """A run that reads a data set."""

    run_id: UUID
    name: str
    stage: str | None
    state: RunState
    created_at: datetime
    role: str
    sha256: str | None
    version: int | None
    newest: int | None


class DatasetUsage(Page[DatasetUse]):
    """One page of the runs that read a data set, newest first, and how many there are in each state."""

    states: dict[str, int] = Field(description="State → runs, of all pages.")


class DatasetView(Wire):
    id: UUID
    name: str
    kind: str
    folder: str | None = Field(
        None, description="Below the data root; null for what was uploaded or downloaded."
    )
    source: str = Field("", description="The upload's name, or the address.")
    description: str
    synthetic: bool
    created_at: datetime
    run_id: UUID | None = Field(None, description="The run that brings it in.")
    survey_id: UUID | None = Field(None, description="The newest run that surveys it.")
    survey_state: RunState | None = Field(None, description="Of that run.")
    survey_reason: str | None = Field(None, description="Why that run failed or waits.")
    state: Literal["ready", "arriving", "failed"] = "ready"
    reason: str | None = None
    version: DatasetVersionView | None = Field(None, description="The newest version; null before a survey.")
    found: SurveyResult | None = Field(None, description="What the survey of the newest version counted.")
    thumbnails: UUID | None = Field(None, description="The artifact survey, with survey.json and thumbnails.")
    integrity: IntegrityReport | None = Field(
        None,
        description="Of one data set: what the newest evaluation or integrity run on the newest version found.",
    )
