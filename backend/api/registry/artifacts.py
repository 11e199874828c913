"""Routes for artifacts, the outputs of runs."""

from __future__ import annotations

import mimetypes
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from backend.api import needs
from backend.api.dependencies import Db, ReadDb, Store
from backend.api.documented import problems
from backend.store.registry import artifacts
from vise_client.schemas.artifacts import ArtifactFile, ArtifactView

router = APIRouter(prefix="/artifacts", tags=["artifacts"])

INLINE = {"image/png", "image/jpeg", "application/json", "text/plain", "text/csv"}
"""Content types that a browser may show; all others are sent as downloads."""


@router.get("/{artifact_id}", response_model=ArtifactView, dependencies=[needs.read])
def read(artifact_id: UUID, db: Db) -> ArtifactView:
    """Return an artifact: its kind, size, digest and the run that made it. Status 404 if no artifact has this id."""
    return ArtifactView.model_validate(artifacts.get(db, artifact_id))


@router.get("/{artifact_id}/files", response_model=list[ArtifactFile], dependencies=[needs.read])
def list_files(artifact_id: UUID, db: Db) -> list[ArtifactFile]:
    """List the files of an artifact with size and SHA-256. Status 404 if no artifact has this id."""
    return [ArtifactFile.model_validate(row) for row in artifacts.get(db, artifact_id).manifest]


@router.get(
    "/{artifact_id}/content",
    response_class=StreamingResponse,
    dependencies=[needs.read],
    responses={304: {"description": "Not Modified"}, **problems(410)},
)
def content(
    artifact_id: UUID,
    request: Request,
    db: ReadDb,
    storage: Store,
    file: Annotated[
        str | None,
        Query(
            max_length=4096,
            description="Path of a file in the artifact; default: all files, as a tar if there are several.",
        ),
    ] = None,
) -> Response:
    """Download an artifact, or one of its files. The ``ETag`` is the SHA-256. Status 404 if no artifact has this id."""
    artifact = artifacts.get(db, artifact_id)
    if file is None and artifact.folder:
        sha256, name, kind = artifact.sha256, f"{artifact.name}.tar", "application/x-tar"
        size, body = None, artifacts.as_tar(storage, artifact)
    else:
        path, sha256, size = artifacts.file_digest(artifact, file)
        name = path.rpartition("/")[2]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        body = storage.stream(sha256)
        db.close()
        storage.open(sha256).close()
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    disposition = "inline" if kind in INLINE else "attachment"
    headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(name)}"
    headers["Content-Security-Policy"] = "sandbox"
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(body, media_type=kind, headers=headers)
