"""Routes for data sets, which are registered, uploaded or downloaded."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from backend.api import needs
from backend.api.dependencies import Config, Db, Limit, Offset, Store, Who
from backend.api.documented import problems
from backend.api.errors import ApiProblem
from backend.store.accounts import audit, quotas
from backend.store.database import Sessions
from backend.store.errors import in_words
from backend.store.registry import dataset_usage, dataset_versions, datasets, folders
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Upload
from backend.store.runs.read import view_run
from backend.store.upkeep import marks
from backend.store.upkeep.derived import derived
from vise_client.schemas.datasets import (
    DatasetCreate,
    DatasetFromUrl,
    DatasetUpdate,
    DatasetUsage,
    DatasetVersionView,
    DatasetView,
    FolderChanges,
)
from vise_client.schemas.derived import Derived
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView
from vise_core.specs.survey import DataKind

router = APIRouter(prefix="/datasets", tags=["datasets"])

MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
HEAD = 512
RESERVED_SECONDS = 120.0
"""How long the bytes of an upload stay reserved after its process was killed."""

log = logging.getLogger("vise.api")


@router.get("", response_model=list[DatasetView], dependencies=[needs.read])
def list_datasets(
    db: Db,
    search: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
    kind: DataKind | None = None,
    offset: Offset = 0,
    limit: Limit = 1000,
) -> list[DatasetView]:
    """List the data sets by name, each with its newest version."""
    rows = datasets.list_datasets(db, search=search, kind=kind, offset=offset, limit=limit)
    return datasets.views(db, rows)


@router.post("", response_model=DatasetView, status_code=201, dependencies=[needs.admin])
def register(body: DatasetCreate, db: Db, settings: Config, who: Who) -> DatasetView:
    """Register a folder below the server's data root; a run surveys it and makes version 1.

    Status 409 if the name is taken, 422 if there is no such folder.
    """
    dataset = datasets.register(db, settings.data_root, body, who.user_id)
    db.flush()
    db.refresh(dataset)
    return datasets.view(db, dataset)


@router.post("/url", response_model=DatasetView, status_code=201, dependencies=[needs.admin])
def register_url(body: DatasetFromUrl, db: Db, who: Who) -> DatasetView:
    """Download an archive from a URL as a data set; a worker fetches, checks and unpacks it.

    Status 409 if the name is taken.
    """
    dataset = datasets.bring_in(
        db,
        body.name,
        body.kind,
        description=body.description,
        url=body.url,
        sha256=body.sha256,
        user=who.user_id,
    )
    db.flush()
    db.refresh(dataset)
    return datasets.view(db, dataset)


@router.post(
    "/upload",
    response_model=DatasetView,
    status_code=201,
    dependencies=[needs.admin],
    responses=problems(415),
)
async def upload(
    request: Request,
    settings: Config,
    storage: Store,
    who: Who,
    name: Annotated[str, Query(min_length=1, max_length=120)],
    filename: Annotated[str, Query(min_length=1, max_length=200)],
    kind: DataKind = "images",
    description: Annotated[str, Query(max_length=2000)] = "",
) -> DatasetView:
    """Upload an archive (zip or tar), sent as the request body, as a data set; a worker unpacks it.

    Status 400 if the body is empty, 409 if the name is taken. An upload that is sent again, by the same user with the
    same options, returns the data set of the first, unless its import has failed or was cancelled.
    """
    incoming = settings.home / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    sessions: Sessions = request.app.state.sessions
    upload_id = uuid4()

    def reserve(size: int) -> int:
        with sessions.begin() as db:
            reserved, free = quotas.reserve_upload(
                db, upload_id, who.user_id, size, settings.max_user_upload_bytes, RESERVED_SECONDS
            )
        if reserved:
            return reserved
        raise ApiProblem(
            413,
            "Quota exceeded",
            f"all your uploads together may have {settings.max_user_upload_bytes:,} bytes "
            f"(VISE_MAX_USER_UPLOAD_BYTES), of which {free:,} are free; delete data sets that you uploaded",
        )

    def create(sha256: str, size: int) -> DatasetView:
        with sessions.begin() as db:
            marks.require(db, [sha256])
            archive = Upload(name=safe_name(filename), sha256=sha256, size=size, created_by=who.user_id)
            # The response to the same upload may have been lost.
            if (known := datasets.uploaded(db, name, kind, description, archive)) is not None:
                return datasets.view(db, known)
            db.add(archive)
            db.flush()
            dataset = datasets.bring_in(
                db, name, kind, description=description, upload=archive, user=who.user_id
            )
            db.flush()
            db.refresh(dataset)
            view = datasets.view(db, dataset)
            audit.write(db, who)
            return view

    renewing = asyncio.create_task(_keep_reserved(sessions, upload_id))
    try:
        with tempfile.NamedTemporaryFile(dir=incoming) as file:
            sha256, size = await _receive(request, file, kind, reserve)
            await run_in_threadpool(_store, sessions, storage, Path(file.name), sha256)
        return await run_in_threadpool(create, sha256, size)
    except marks.ObjectsRemoved as error:
        detail = "an equal archive was deleted in the meantime; send it again"
        raise ApiProblem(503, "The archive was removed", detail) from error
    finally:
        renewing.cancel()
        # After the row is written, which counts too: for a moment both do. Also where the client has left.
        await asyncio.shield(run_in_threadpool(_release, sessions, upload_id))


@router.get("/{dataset_id}", response_model=DatasetView, dependencies=[needs.read])
def read(dataset_id: UUID, db: Db) -> DatasetView:
    """Return a data set with its newest version. Status 404 if no data set has this id."""
    return datasets.view(db, datasets.get(db, dataset_id))


@router.patch("/{dataset_id}", response_model=DatasetView, dependencies=[needs.admin])
def update(dataset_id: UUID, body: DatasetUpdate, db: Db) -> DatasetView:
    """Rename or describe a data set; runs that read it show the new name.

    Status 404 if no data set has this id, 409 if the name is taken.
    """
    return datasets.view(db, datasets.update(db, dataset_id, body))


@router.post("/{dataset_id}/rescan", response_model=RunView, status_code=202, dependencies=[needs.admin])
def rescan(dataset_id: UUID, db: Db, settings: Config, who: Who) -> RunView:
    """Survey a registered folder again and return that run. Changed content becomes the next version.

    Status 404 if no data set has this id, 409 if it was uploaded or downloaded.
    """
    run = datasets.rescan(db, settings.data_root, dataset_id, who.user_id)
    db.flush()
    return view_run(db, run.id)


@router.get("/{dataset_id}/changes", response_model=FolderChanges, dependencies=[needs.read])
def changes(dataset_id: UUID, db: Db, settings: Config) -> FolderChanges:
    """Compare the folder with the newest version by names, sizes and times; no file is read.

    For a big folder, the first response says that the comparison is running; request it again. Status 404 if no data
    set has this id.
    """
    return folders.changes(db, settings.data_root, datasets.get(db, dataset_id))


@router.get("/{dataset_id}/versions", response_model=list[DatasetVersionView], dependencies=[needs.read])
def versions(
    dataset_id: UUID,
    db: Db,
    before: Annotated[int | None, Query(ge=1, description="Only versions with a lower number.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> list[DatasetVersionView]:
    """List the versions of a data set, newest first. Status 404 if no data set has this id."""
    datasets.get(db, dataset_id)
    return dataset_versions.list_versions(db, dataset_id, before=before, limit=limit)


@router.get("/{dataset_id}/runs", response_model=DatasetUsage, dependencies=[needs.read])
def usage(
    dataset_id: UUID,
    db: Db,
    version: Annotated[int | None, Query(ge=1, description="Only runs that read this version.")] = None,
    unknown: Annotated[bool, Query(description="Only runs that read content of no known version.")] = False,
    state: RunState | None = None,
    surveys: Annotated[bool, Query(description="Include the surveys of the data set.")] = False,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> DatasetUsage:
    """List the runs that read a data set, newest first, with the version. Works for a removed data set too.

    Status 404 if no data set has this id.
    """
    return dataset_usage.usage(
        db,
        dataset_id,
        version=version,
        unknown=unknown,
        state=state,
        surveys=surveys,
        cursor=cursor,
        limit=limit,
    )


@router.get("/{dataset_id}/derived", response_model=Derived, dependencies=[needs.admin])
def read_derived(
    dataset_id: UUID,
    db: Db,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 100,
) -> Derived:
    """List what was made from a data set, and what becomes of each when the data set is deleted.

    Status 404 if no data set has this id.
    """
    return derived(db, "data set", dataset_id, who, offset=offset, limit=limit)


@router.delete("/{dataset_id}", status_code=204, dependencies=[needs.admin])
def delete(dataset_id: UUID, db: Db) -> Response:
    """Remove a data set, and the files of an upload or download. Runs keep the name and version of what they read.

    Status 404 if no data set has this id, 409 if an unfinished run reads it.
    """
    datasets.delete(db, dataset_id)
    return Response(status_code=204)


async def _receive(
    request: Request, file: IO[bytes], kind: DataKind, reserve: Callable[[int], int]
) -> tuple[str, int]:
    """Write the body of a request to a file; return its SHA-256 and size.

    ``reserve`` reserves bytes of the user's quota, and returns how many. Raises ApiProblem if the body is empty or no
    archive.
    """
    digest, size, reserved, head = hashlib.sha256(), 0, 0, b""
    async for chunk in request.stream():
        if len(head) < HEAD:
            head += chunk[: HEAD - len(head)]
            if len(head) >= HEAD:
                _require_archive(head, kind)
        size += len(chunk)
        if size > reserved:
            reserved = await run_in_threadpool(reserve, size)
        digest.update(chunk)
        await run_in_threadpool(file.write, chunk)
    if not size:
        raise ApiProblem(400, "Empty upload", "the body is empty; send the archive as the body")
    _require_archive(head, kind)
    await run_in_threadpool(file.flush)
    return digest.hexdigest(), size


async def _keep_reserved(sessions: Sessions, upload_id: UUID) -> None:
    """Renew the reservation of an upload until cancelled; that of a killed process ends soon by itself."""

    def renew() -> None:
        with sessions.begin() as db:
            quotas.renew_upload(db, upload_id, RESERVED_SECONDS)

    while True:
        await asyncio.sleep(RESERVED_SECONDS / 4)
        try:
            await run_in_threadpool(renew)
        except SQLAlchemyError as error:
            log.warning("the reservation of an upload could not be renewed: %s", in_words(error))


def _release(sessions: Sessions, upload_id: UUID) -> None:
    """End the reservation of an upload. An error is logged only: the reservation also ends by itself."""
    try:
        with sessions.begin() as db:
            quotas.release_upload(db, upload_id)
    except SQLAlchemyError as error:
        log.warning("the reservation of an upload could not be released: %s", in_words(error))


def _store(sessions: Sessions, storage: Storage, file: Path, sha256: str) -> None:
    """Store the archive where no sweep removes it before its row is written."""
    with sessions.begin() as db:
        marks.claim(db, [sha256])
    storage.put(file, sha256)


def safe_name(filename: str) -> str:
    """Return the last part of an uploaded file's name, reduced to characters that are safe in a path."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "-", last).lstrip(".-")[-100:] or "archive"


def _require_archive(head: bytes, kind: DataKind) -> None:
    """Raise ApiProblem (415) if the first bytes are not those of an archive; the worker checks the rest."""
    if kind != "weights" and not head.startswith(MAGIC) and head[257:262] != b"ustar":
        raise ApiProblem(415, "Not an archive", "send a zip, or a tar (plain, gzip, bzip2 or xz)")
