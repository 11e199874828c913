"""Operations on data sets and their versions."""

from __future__ import annotations

from typing import BinaryIO

from vise_core.specs.survey import DataKind

from ..operation import Id, delete, get, patch, post
from ..schemas.datasets import (
    DatasetCreate,
    DatasetFromUrl,
    DatasetUpdate,
    DatasetUsage,
    DatasetVersionView,
    DatasetView,
    FolderChanges,
)
from ..schemas.derived import Derived
from ..schemas.run_states import RunState
from ..schemas.runs import RunView


class DatasetOperations:
    """Add data sets, and follow their versions and the runs that read them."""

    @get("/datasets")
    def datasets(
        self, *, search: str = "", kind: DataKind | None = None, offset: int = 0, limit: int = 1000
    ) -> list[DatasetView]:
        """Return data sets by name, each with its newest version. ``search`` is a part of the name."""

    @get("/datasets/{dataset_id}")
    def dataset(self, dataset_id: Id) -> DatasetView:
        """Return a data set with its newest version and the latest integrity report."""

    @post("/datasets")
    def register_dataset(self, body: DatasetCreate) -> DatasetView:
        """Register a folder below the server's data root. A run surveys it, which makes version 1."""

    @post("/datasets/url")
    def dataset_from_url(self, body: DatasetFromUrl) -> DatasetView:
        """Have a worker download, check and unpack an archive."""

    @post("/datasets/upload")
    def upload_dataset(
        self,
        name: str,
        filename: str,
        content: BinaryIO,
        *,
        kind: DataKind = "images",
        description: str = "",
    ) -> DatasetView:
        """Upload an archive (zip or tar), read in chunks from ``content``; a worker unpacks it."""

    @patch("/datasets/{dataset_id}")
    def update_dataset(self, dataset_id: Id, body: DatasetUpdate) -> DatasetView:
        """Rename or describe a data set."""

    @get("/datasets/{dataset_id}/derived")
    def dataset_derived(self, dataset_id: Id, *, offset: int = 0, limit: int = 100) -> Derived:
        """Return what was made from a data set, and what becomes of each when it is deleted."""

    @delete("/datasets/{dataset_id}")
    def delete_dataset(self, dataset_id: Id) -> None:
        """Remove a data set, and the files of an upload or download; a registered folder and runs stay."""

    @post("/datasets/{dataset_id}/rescan")
    def rescan_dataset(self, dataset_id: Id) -> RunView:
        """Survey a registered folder again; once the run has succeeded, changed content is the newest version."""

    @get("/datasets/{dataset_id}/changes")
    def dataset_changes(self, dataset_id: Id) -> FolderChanges:
        """Return how the folder differs from the newest version, by names, sizes and times; no file is read."""

    @get("/datasets/{dataset_id}/versions")
    def dataset_versions(
        self, dataset_id: Id, *, before: int | None = None, limit: int = 20
    ) -> list[DatasetVersionView]:
        """Return the versions of a data set, newest first; with ``before`` only those with a lower number."""

    @get("/datasets/{dataset_id}/runs")
    def dataset_runs(
        self,
        dataset_id: Id,
        *,
        version: int | None = None,
        unknown: bool = False,
        state: RunState | None = None,
        surveys: bool = False,
        cursor: Id | None = None,
        limit: int = 20,
    ) -> DatasetUsage:
        """Return one page of the runs that read a data set, newest first.

        Args:
            version: only runs that read this version.
            unknown: only runs whose data is of no known version.
            surveys: include the surveys of the data set.
        """
