"""Routes for runs, recipes and sweeps, and their metrics, logs and events."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from backend.api.dependencies import Db, Who, editor
from backend.store.changes import check_expected
from backend.store.metrics import points as metrics
from backend.store.runs import bulk, create, delete, groups, logs, run_list
from backend.store.runs.compare import compare
from backend.store.runs.lineage import lineage
from backend.store.runs.query import vocabulary
from backend.store.runs.read import get_run, list_events, view_run
from backend.store.runs.run_list import RunFilter
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run, retry_run
from vise_client.schemas.artifacts import ArtifactView
from vise_client.schemas.comparison import CompareQuery, Comparison
from vise_client.schemas.launch import RecipeCreate, RunClone, RunCreate, SweepCreate
from vise_client.schemas.lineage import Lineage
from vise_client.schemas.metrics import Curve, MetricQuery
from vise_client.schemas.run_lists import GroupPage, Vocabulary
from vise_client.schemas.run_states import RunKind, RunState
from vise_client.schemas.runs import (
    BulkOutcome,
    BulkRequest,
    EventView,
    LogLevel,
    LogLine,
    RunPage,
    RunUpdate,
    RunView,
)

router = APIRouter(tags=["runs"])


QueryText = Annotated[
    str,
    Query(
        alias="query",
        max_length=2000,
        description='For example: stage = pretrain and spec.base_lr < 0.01 and tag = "c+r" and not archived.',
    ),
]
SortKey = Annotated[
    str,
    Query(
        max_length=200,
        description="created, name, state, stage, duration, started, finished, spec.… or metric.…; "
        "with - in front: descending.",
    ),
]
Columns = Annotated[
    list[str] | None,
    Query(alias="column", description="Values to add to each row: spec.…, metric.… or metric.…:max."),
]
Cursor = Annotated[str | None, Query(max_length=2000)]
Limit = Annotated[int, Query(ge=1, le=200)]
Count = Annotated[bool, Query(description="Include the total number of matches.")]


@router.get("/runs", response_model=RunPage)
def list_runs(
    db: Db,
    state: Annotated[list[RunState] | None, Query(description="Any of these states.")] = None,
    stage: str | None = None,
    kind: RunKind | None = None,
    parent: UUID | None = None,
    tag: str | None = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the name, or a tag.")] = None,
    nested: Annotated[
        bool, Query(alias="all", description="Include the runs of recipes and sweeps.")
    ] = False,
    query: QueryText = "",
    sort: SortKey = "-created",
    column: Columns = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    count: Count = False,
) -> RunPage:
    """List the runs that match a filter, newest first unless sorted; page with ``next_cursor``."""
    run_filter = RunFilter(
        states=tuple(s.value for s in state or ()),
        stage=stage,
        kind=kind,
        parent=parent,
        tag=tag,
        search=search,
        nested=nested,
        query=query,
    )
    return run_list.list_runs(
        db, run_filter, sort=sort, cursor=cursor, limit=limit, columns=column or (), count=count
    )


@router.get("/runs/groups", response_model=GroupPage)
def list_groups(
    db: Db,
    query: QueryText = "",
    sort: SortKey = "-created",
    column: Columns = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    count: Count = False,
) -> GroupPage:
    """List groups of runs that differ only in seed and split, each with mean ± sample std (n) of each metric.

    A group is listed if one of its runs matches; its numbers are over all of its runs that are not archived.
    """
    run_filter = RunFilter(nested=True, query=query)
    return groups.list_groups(
        db, run_filter, sort=sort, cursor=cursor, limit=limit, columns=column or (), count=count
    )


@router.get("/runs/vocabulary", response_model=Vocabulary)
def read_vocabulary(db: Db) -> Vocabulary:
    """List the fields, spec paths, metrics and tags that a query may name, to complete it while typing."""
    return vocabulary.vocabulary(db)


@router.post("/runs/bulk", response_model=list[BulkOutcome], dependencies=[editor])
def bulk_action(body: BulkRequest, db: Db) -> list[BulkOutcome]:
    """Tag, star, archive, delete, cancel, pause, resume or retry many runs; returns one outcome for each."""
    return bulk.apply(db, body)


@router.post("/runs", response_model=RunView, status_code=201, dependencies=[editor])
def create_run(body: RunCreate, db: Db, who: Who) -> RunView:
    """Create a run of one stage; it starts when its inputs are ready."""
    return view_run(db, create.create_run(db, body, who.user_id).id)


@router.post("/recipes/runs", response_model=RunView, status_code=201, dependencies=[editor])
def create_recipe(body: RecipeCreate, db: Db, who: Who) -> RunView:
    """Create a run of a recipe, given by its name or as a spec."""
    return view_run(db, create.create_recipe(db, body, who.user_id).id)


@router.post("/sweeps", response_model=RunView, status_code=201, dependencies=[editor])
def create_sweep(body: SweepCreate, db: Db, who: Who) -> RunView:
    """Create a sweep: one run for each point of a grid."""
    return view_run(db, create.create_sweep(db, body, who.user_id).id)


@router.get("/runs/{run_id}", response_model=RunView)
def read_run(run_id: UUID, db: Db) -> RunView:
    """Return a run with its spec, progress, inputs and artifacts."""
    return view_run(db, run_id)


@router.patch("/runs/{run_id}", response_model=RunView, dependencies=[editor])
def update_run(run_id: UUID, body: RunUpdate, db: Db) -> RunView:
    """Change the name, tags or notes of a run; star or archive it."""
    run = get_run(db, run_id)
    check_expected(db, run, body)
    for field, value in body.model_dump(exclude_none=True, exclude={"expected"}).items():
        setattr(run, field, value)
    db.flush()
    return view_run(db, run_id)


@router.delete("/runs/{run_id}", status_code=204, dependencies=[editor])
def delete_run(run_id: UUID, db: Db) -> Response:
    """Delete a finished run with its metrics and logs."""
    delete.delete_run(db, run_id)
    return Response(status_code=204)


@router.post("/runs/{run_id}/cancel", response_model=RunView, dependencies=[editor])
def cancel(run_id: UUID, db: Db) -> RunView:
    """Cancel a run. A running one saves its state first; a queued one is cancelled at once."""
    request_cancel(db, run_id)
    return view_run(db, run_id)


@router.post("/runs/{run_id}/pause", response_model=RunView, dependencies=[editor])
def pause(run_id: UUID, db: Db) -> RunView:
    """Pause a run, or the children of a parent: each saves its state and releases its worker."""
    request_pause(db, run_id)
    return view_run(db, run_id)


@router.post("/runs/{run_id}/resume", response_model=RunView, dependencies=[editor])
def resume(run_id: UUID, db: Db) -> RunView:
    """Queue a paused run again; it continues from its last checkpoint."""
    resume_run(db, run_id)
    return view_run(db, run_id)


@router.post("/runs/{run_id}/retry", response_model=RunView, dependencies=[editor])
def retry(run_id: UUID, db: Db) -> RunView:
    """Queue a failed or cancelled run again; it continues from its last checkpoint."""
    retry_run(db, run_id)
    return view_run(db, run_id)


@router.post("/runs/{run_id}/clone", response_model=RunView, status_code=201, dependencies=[editor])
def clone(run_id: UUID, body: RunClone, db: Db, who: Who) -> RunView:
    """Create a copy of a run, with changes to its spec."""
    return view_run(db, create.clone_run(db, run_id, body, who.user_id).id)


@router.get("/runs/{run_id}/events", response_model=list[EventView])
def events(run_id: UUID, db: Db) -> list[EventView]:
    """List the changes of a run's state, oldest first."""
    return list_events(db, run_id)


@router.get("/runs/{run_id}/logs", response_model=list[LogLine])
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
    """Return log lines of a run in order, filtered by level and text."""
    get_run(db, run_id)
    # PostgreSQL text cannot contain NUL.
    text = None if search is None else search.replace("\0", "")
    return logs.read(db, run_id, after=after, before=before, limit=limit, level=level, search=text)


@router.get("/runs/{run_id}/logs/download", response_class=StreamingResponse)
def download_log(run_id: UUID, request: Request, db: Db) -> StreamingResponse:
    """Download the whole log of a run as text."""
    get_run(db, run_id)
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.log"'}
    lines = logs.whole(request.app.state.sessions, run_id)
    return StreamingResponse(lines, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/runs/{run_id}/lineage", response_model=Lineage)
def read_lineage(run_id: UUID, db: Db) -> Lineage:
    """Return the runs, data sets and models that a run comes from, and those made from it."""
    return lineage(db, run_id)


@router.post("/runs/compare", response_model=Comparison)
def compare_runs(body: CompareQuery, db: Db) -> Comparison:
    """Compare up to 100 runs side by side, with the importance of each parameter for a metric."""
    return compare(db, body)


@router.get("/runs/{run_id}/artifacts", response_model=list[ArtifactView])
def list_artifacts(run_id: UUID, db: Db) -> list[ArtifactView]:
    """List the artifacts of a run."""
    return view_run(db, run_id).artifacts


@router.post("/metrics/query", response_model=list[Curve])
def query_metrics(body: MetricQuery, db: Db) -> list[Curve]:
    """Return the curves of up to 100 runs, down-sampled so that minima and maxima stay."""
    return metrics.curves(db, body)
