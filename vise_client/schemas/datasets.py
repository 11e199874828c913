"""Data sets, their versions, and the runs that read them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.survey import DataKind, SurveyResult

from .run_states import RunState
from .wire import Page, RequestBody, ResponseBody, UpdateBody


class DatasetCreate(RequestBody):
    """A folder below the server's data root, to register as a data set."""

    name: str = Field(min_length=1, max_length=120)
    kind: Literal["posts", "images", "weights"] = Field(
        description="posts to ingest, labelled images to evaluate on, or weights of a backbone or text encoder."
    )
    folder: str = Field(min_length=1, max_length=1000, description="Path relative to the server's data root.")
    description: str = Field("", max_length=2000)


class DatasetFromUrl(RequestBody):
    """An archive that a worker downloads and unpacks as a data set."""

    name: str = Field(min_length=1, max_length=120)
    kind: DataKind = "images"
    url: str = Field(max_length=2000)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    description: str = Field("", max_length=2000)


class DatasetUpdate(UpdateBody):
    """Changes of a data set; null leaves a field as it is."""

    name: str | None = Field(None, min_length=1, max_length=120, pattern=r"\S")
    description: str | None = Field(None, max_length=2000)


class DatasetVersionView(ResponseBody):
    """A version of a data set: its content at the time of a survey."""

    number: int
    sha256: str = Field(description="SHA-256 of the manifest of all files.")
    files: int
    bytes: int
    created_at: datetime
    checked_at: datetime = Field(description="Time of the newest survey with this content.")
    run_id: UUID | None = Field(description="The first survey with this content; null once deleted.")
    survey_id: UUID | None = Field(description="The newest survey with this content; null once deleted.")
    survey: SurveyResult | None = Field(None, description="Counts of the newest survey of this content.")
    runs: int = Field(0, description="Number of runs that read this version, without surveys.")
    same_as: int | None = Field(None, description="Number of an earlier version with the same content.")


class FolderChanges(ResponseBody):
    """How a registered folder differs from its newest version, by names, sizes and times; no file is read."""

    state: Literal["same", "changed", "checking", "missing", "unsurveyed", "immutable"]
    version: int | None = Field(None, description="The newest version, which the folder is compared with.")
    added: int = 0
    changed: int = 0
    removed: int = 0
    first: tuple[str, ...] = Field((), description="The first few files that were added, changed or removed.")
    sentence: str

    @property
    def settled(self) -> bool:
        """Return whether a run that starts now would read the newest version, judged by names, sizes and times."""
        return self.state in ("same", "immutable")


class DatasetReadView(ResponseBody):
    """A data set as a run read it; ``version`` is set only where the content was that of the version."""

    dataset_id: UUID
    name: str = Field(
        description="Current name of the data set; of a removed one, its name when the run was created."
    )
    removed: bool = False
    sha256: str | None = Field(
        description="SHA-256 of the content that the run read; null before it has read it."
    )
    version: int | None = Field(description="The version with this SHA-256; null where none has it.")
    newest: int | None = Field(description="The newest version when the run read it.")
    latest: int | None = Field(None, description="The newest version now.")

    @property
    def which(self) -> str:
        """Return ``version 2``, or why the version is unknown."""
        if self.version is not None:
            return f"version {self.version}"
        if self.sha256 is None:
            return "not read yet"
        if self.newest is None:
            return "version unknown"
        return f"version unknown: the folder changed after version {self.newest}"

    @property
    def label(self) -> str:
        """Return name and version: ``emotions, version 2``."""
        name = f"{self.name} (removed)" if self.removed else self.name
        return f"{name}, {self.which}"


class DatasetUse(ResponseBody):
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
    """One page of the runs that read a data set, newest first, and the number of runs in each state."""

    states: dict[str, int] = Field(description="State → number of runs, over all pages.")


class DatasetView(ResponseBody):
    """A data set with its newest version."""

    id: UUID
    name: str
    kind: str
    folder: str | None = Field(
        None, description="Path below the data root; null for an upload or a download."
    )
    source: str = Field("", description="Name of the upload, or the address of the download.")
    description: str
    synthetic: bool
    created_at: datetime
    run_id: UUID | None = Field(None, description="The run that downloads or unpacks it.")
    survey_id: UUID | None = Field(None, description="The newest survey.")
    survey_state: RunState | None = Field(None, description="State of that run.")
    survey_reason: str | None = Field(None, description="Why that survey failed or waits.")
    state: Literal["ready", "arriving", "failed"] = "ready"
    reason: str | None = None
    version: DatasetVersionView | None = Field(
        None, description="The newest version; null before the first survey."
    )
    survey: SurveyResult | None = Field(None, description="Counts of the survey of the newest version.")
    thumbnails: UUID | None = Field(
        None, description="Id of the artifact survey, with survey.json and thumbnails."
    )
    integrity: IntegrityReport | None = Field(
        None,
        description="Result of the newest evaluation or integrity run on the newest version; of one data set only, not in lists.",
    )

    @property
    def what_removal_does(self) -> str:
        """Sentence on what becomes of its files and runs when it is removed."""
        if self.folder is not None:
            return "Its folder on the server and the runs stay."
        return "Its files on the server are deleted for good; the runs stay."
