"""Routes for many runs at once: the list, groups, bulk actions, comparison and curves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from backend.api import needs
from backend.api.dependencies import Db, Launch, Who
from backend.store.metrics import points as metrics
from backend.store.runs import bulk, groups, run_list
from backend.store.runs.compare import compare
from backend.store.runs.query import vocabulary
from backend.store.runs.run_list import Paging, RunFilter
from vise_client.schemas.comparison import CompareQuery, Comparison
from vise_client.schemas.metrics import Curve, MetricQuery
from vise_client.schemas.run_lists import Column, GroupPage, Vocabulary
from vise_client.schemas.run_states import RunKind, RunState
from vise_client.schemas.runs import (
    BulkOutcome,
    BulkRequest,
    RunPage,
)
from vise_core.specs.base import Name, Tag

router = APIRouter(tags=["runs"])


QueryText = Annotated[
    str,
    Query(
        max_length=2000,
        description='For example: stage = pretrain and spec.base_lr < 0.01 and tag = "c+r" and not archived.',
    ),
]


def _paging(
    sort: Annotated[
        str,
        Query(
            max_length=200,
            description="created, name, state, stage, duration, started, finished, spec.… or metric.…; "
            "with - in front: descending.",
        ),
    ] = "-created",
    column: Annotated[
        list[Column] | None,
        Query(max_length=40, description="Values to add to each row: spec.…, metric.… or metric.…:max."),
    ] = None,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    count: Annotated[bool, Query(description="Include the total number of matches.")] = False,
) -> Paging:
    return Paging(sort=sort, cursor=cursor, limit=limit, columns=column or (), count=count)


Paged = Annotated[Paging, Depends(_paging)]


@router.get("/runs", response_model=RunPage, dependencies=[needs.read])
def list_runs(
    db: Db,
    paging: Paged,
    state: Annotated[list[RunState] | None, Query(max_length=20, description="Any of these states.")] = None,
    stage: Name | None = None,
    kind: RunKind | None = None,
    parent: UUID | None = None,
    tag: Tag | None = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the name, or a tag.")] = None,
    nested: Annotated[
        bool, Query(alias="all", description="Include the runs of recipes and sweeps.")
    ] = False,
    query: QueryText = "",
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
    return run_list.list_runs(db, run_filter, paging)


@router.get("/runs/groups", response_model=GroupPage, dependencies=[needs.read])
def list_groups(db: Db, paging: Paged, query: QueryText = "") -> GroupPage:
    """List groups of runs that differ only in seed and split, each with mean ± sample std (n) of each metric.

    A group is listed if one of its runs matches; its numbers are over all of its runs that are not archived.
    """
    return groups.list_groups(db, RunFilter(nested=True, query=query), paging)


@router.get("/runs/vocabulary", response_model=Vocabulary, dependencies=[needs.read])
def read_vocabulary(db: Db) -> Vocabulary:
    """List the fields, spec paths, metrics and tags that a query may name, to complete it while typing."""
    return vocabulary.vocabulary(db)


@router.post("/runs/bulk", response_model=list[BulkOutcome], dependencies=[needs.run])
def bulk_action(request: Request, body: BulkRequest, who: Who, allowance: Launch) -> list[BulkOutcome]:
    """Tag, star, archive, delete, cancel, pause, resume or retry many runs; returns one outcome for each.

    Runs of other users are left as they are, except by admins.
    """
    return bulk.apply(request.app.state.sessions, body, who, allowance)


@router.post("/runs/compare", response_model=Comparison, dependencies=[needs.read])
def compare_runs(body: CompareQuery, db: Db) -> Comparison:
    """Compare up to 100 runs side by side, with the importance of each parameter for a metric."""
    return compare(db, body)


@router.post("/metrics/query", response_model=list[Curve], dependencies=[needs.read])
def query_metrics(body: MetricQuery, db: Db) -> list[Curve]:
    """Return the curves of up to 100 runs, down-sampled so that minima and maxima stay."""
    return metrics.curves(db, body)
