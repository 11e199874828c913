"""Routes for one run: its spec, events, log, lineage and artifacts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from backend.api import needs, owners
from backend.api.dependencies import Db, Limit, Offset, Who
from backend.store.changes import check_expected
from backend.store.runs import delete, logs
from backend.store.runs.lineage import lineage
from backend.store.runs.read import get_run, list_events, view_run
from backend.store.upkeep.derived import derived
from vise_client.schemas.artifacts import ArtifactView
from vise_client.schemas.derived import Derived
from vise_client.schemas.lineage import Lineage
from vise_client.schemas.runs import (
    EventView,
    LogLevel,
    LogLine,
    RunUpdate,
    RunView,
)

router = APIRouter(tags=["runs"])


@router.get("/runs/{run_id}", response_model=RunView, dependencies=[needs.read])
def read_run(run_id: UUID, db: Db) -> RunView:
    """Return a run with its spec, progress, inputs and artifacts. Status 404 if no run has this id."""
    return view_run(db, run_id)


@router.patch("/runs/{run_id}", response_model=RunView, dependencies=[needs.run, owners.of_run])
def update_run(run_id: UUID, body: RunUpdate, db: Db) -> RunView:
    """Change the name, tags or notes of a run; star or archive it. Status 404 if no run has this id."""
    run = get_run(db, run_id)
    check_expected(db, run, body)
    for field, value in body.model_dump(exclude_none=True, exclude={"expected"}).items():
        setattr(run, field, value)
    db.flush()
    return view_run(db, run_id)


@router.delete("/runs/{run_id}", status_code=204, dependencies=[needs.run, owners.of_run])
def delete_run(run_id: UUID, db: Db) -> Response:
    """Delete a finished run with its metrics and logs.

    Status 404 if no run has this id, 409 if it has not ended, or if anything depends on it.
    """
    delete.delete_run(db, run_id)
    return Response(status_code=204)


@router.get("/runs/{run_id}/derived", response_model=Derived, dependencies=[needs.run, owners.of_run])
def read_derived(
    run_id: UUID,
    db: Db,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 100,
) -> Derived:
    """List what depends on a run, and what becomes of each when the run is deleted; for those who may delete it.

    Status 404 if no run has this id.
    """
    return derived(db, "run", run_id, who, offset=offset, limit=limit)


@router.get("/runs/{run_id}/events", response_model=list[EventView], dependencies=[needs.read])
def events(run_id: UUID, db: Db) -> list[EventView]:
    """List the changes of a run's state, oldest first. Status 404 if no run has this id."""
    return list_events(db, run_id)


@router.get("/runs/{run_id}/logs", response_model=list[LogLine], dependencies=[needs.read])
def read_logs(
    run_id: UUID,
    db: Db,
    after: Annotated[
        int, Query(ge=-1, lt=2**63, description="Id of the last line you have; -1: the last lines.")
    ] = 0,
    before: Annotated[int | None, Query(ge=0, lt=2**63, description="The last lines before this id.")] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    level: Annotated[LogLevel | None, Query(description="Minimum level.")] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the line.")] = None,
) -> list[LogLine]:
    """Return log lines of a run in order, filtered by level and text. Status 404 if no run has this id."""
    get_run(db, run_id)
    return logs.read(db, run_id, after=after, before=before, limit=limit, level=level, search=search)


@router.get("/runs/{run_id}/logs/download", response_class=StreamingResponse, dependencies=[needs.read])
def download_log(run_id: UUID, request: Request, db: Db) -> StreamingResponse:
    """Download the whole log of a run as text. Status 404 if no run has this id."""
    get_run(db, run_id)
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.log"'}
    lines = logs.whole(request.app.state.sessions, run_id)
    return StreamingResponse(lines, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/runs/{run_id}/lineage", response_model=Lineage, dependencies=[needs.read])
def read_lineage(run_id: UUID, db: Db) -> Lineage:
    """Return the runs, data sets and models that a run comes from, and those made from it.

    Status 404 if no run has this id.
    """
    return lineage(db, run_id)


@router.get("/runs/{run_id}/artifacts", response_model=list[ArtifactView], dependencies=[needs.read])
def list_artifacts(run_id: UUID, db: Db) -> list[ArtifactView]:
    """List the artifacts of a run. Status 404 if no run has this id."""
    return view_run(db, run_id).artifacts
