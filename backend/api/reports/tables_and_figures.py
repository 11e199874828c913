"""Routes for the paper's tables and figures, filled with the stored results."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from backend.api import needs
from backend.api.dependencies import ReadDb, Store
from backend.api.documented import problems
from backend.store.errors import Invalid, NotFound
from backend.store.reports import evaluations
from vise_core.errors import BadInput
from vise_core.report import (
    ENDINGS,
    MEDIA_TYPES,
    NAMES,
    Choices,
    EvaluationTable,
    OurFigure,
    PairedTest,
    QualitativeFigure,
    ReportEntry,
    ReportFormat,
    ReproducedTable,
    Selection,
    build_table,
    catalogue,
    evaluation_table,
    figure,
    formats,
    observe_all,
    paired_test,
    qualitative,
    render_table,
    report,
    reproduce,
    select_figure,
    select_table,
)
from vise_core.report.comparable import measured_on
from vise_core.report.published import FIGURES, QUALITATIVE
from vise_core.specs.base import Name
from vise_core.specs.evaluate import EvaluateResult

router = APIRouter(prefix="/reports", tags=["reports"])

Tag = Annotated[str | None, Query(max_length=80, description="Only runs with this tag.")]
Synthetic = Annotated[
    bool | None,
    Query(description="true: only runs on generated data; false: only on real data; default: both."),
]


def _selection(
    task: Name | None = None,
    protocol: Name | None = None,
    backbone: Name | None = None,
    method: Name | None = None,
) -> Selection:
    return Selection(task=task, protocol=protocol, backbone=backbone, method=method)


Filter = Annotated[Selection, Depends(_selection)]


@router.get("", response_model=list[ReportEntry], dependencies=[needs.read])
def list_reports() -> list[ReportEntry]:
    """List the tables and figures, each with its formats."""
    return catalogue()


@router.get("/choices", response_model=Choices, dependencies=[needs.read])
def choices(db: ReadDb) -> Choices:
    """List the tasks, protocols, backbones, methods and tags by which reports can be filtered."""
    return evaluations.choices(db)


@router.get("/results", response_class=Response, dependencies=[needs.read], responses=problems(404))
def results(
    db: ReadDb,
    selection: Filter,
    format: ReportFormat = "markdown",
    tag: Tag = None,
    synthetic: Synthetic = None,
) -> Response:
    """Return all evaluations as one table: a row per method, task and protocol, a column per data set and splits.

    Status 422 for another format.
    """
    if format not in ("markdown", "csv", "latex"):
        raise Invalid("format", "results come as markdown, csv or latex")
    rows = [result for _, result in _newest(db, selection, tag, synthetic)]
    return _file(render_table(build_table(rows), format).encode(), "results", format)


@router.get(
    "/results/data", response_model=EvaluationTable, dependencies=[needs.read], responses=problems(404)
)
def results_data(
    db: ReadDb, selection: Filter, tag: Tag = None, synthetic: Synthetic = None
) -> EvaluationTable:
    """Return the table of all evaluations as JSON, with the run behind each number."""
    return evaluation_table(_newest(db, selection, tag, synthetic))


def _newest(
    db: ReadDb, selection: Selection, tag: str | None, synthetic: bool | None
) -> list[tuple[str, EvaluateResult]]:
    """Return the newest evaluation of each table cell as (run id, result), oldest first; real before generated data."""
    newest: dict[tuple[str, ...], tuple[str, EvaluateResult]] = {}
    filters = {name: value for name, value in selection.model_dump().items() if value is not None}
    stored = evaluations.results(db, tag=tag, synthetic=synthetic)
    db.close()
    for run, result in sorted(stored, key=lambda pair: pair[1].synthetic):
        cell = (
            result.method,
            result.backbone,
            result.task,
            result.protocol,
            result.setup,
            result.metric,
            measured_on(result).key,
        )
        if all(getattr(result, name) == value for name, value in filters.items()):
            newest.setdefault(cell, (run, result))
    if not newest:
        raise NotFound("no succeeded evaluation matches these filters")
    return sorted(newest.values(), key=lambda pair: pair[0])


@router.get("/paired", response_model=PairedTest, dependencies=[needs.read], responses=problems(404))
def paired(db: ReadDb, a: UUID, b: UUID) -> PairedTest:
    """Compare two evaluations over their splits: difference a − b, p-value and effect size.

    Status 422 if they cannot be compared.
    """
    try:
        return paired_test(evaluations.result(db, a, "a"), evaluations.result(db, b, "b"))
    except BadInput as error:
        raise Invalid("b", str(error)) from error


@router.get("/{name}", response_class=Response, dependencies=[needs.read], responses=problems(410))
def read(
    name: Name,
    db: ReadDb,
    storage: Store,
    selection: Filter,
    format: ReportFormat | None = None,
    published: Annotated[
        bool, Query(description="Include the paper's numbers, marked as published.")
    ] = False,
    only_run: Annotated[bool, Query(description="Only rows that have runs.")] = False,
    tag: Tag = None,
    synthetic: Synthetic = None,
    run: Annotated[UUID | None, Query(description="Figures 7 and 8: the compare run to show.")] = None,
) -> Response:
    """Return a table or figure as a file, by default as Markdown or PNG.

    Status 422 for a format that it does not come in.
    """
    _check_name(name)
    chosen: ReportFormat = format or formats(name)[0]
    if chosen not in formats(name):
        raise Invalid("format", f"{name} comes as {', '.join(formats(name))}")
    if name in QUALITATIVE:
        comparisons = evaluations.comparisons(db, tag=tag, synthetic=synthetic, run=run)
        db.close()
        content = report(
            name,
            (),
            chosen,
            with_published=published,
            comparisons=comparisons,
            pictures=evaluations.pictures(db, storage),
        )
    else:
        stored = evaluations.results(db, tag=tag, synthetic=synthetic)
        db.close()
        observations = observe_all(stored)
        content = report(
            name,
            observations,
            chosen,
            with_published=published,
            only_run=only_run,
            selection=selection,
        )
    return _file(content, name, chosen)


@router.get(
    "/{name}/data", response_model=ReproducedTable | OurFigure | QualitativeFigure, dependencies=[needs.read]
)
def data(
    name: Name, db: ReadDb, selection: Filter, tag: Tag = None, synthetic: Synthetic = None
) -> ReproducedTable | OurFigure | QualitativeFigure:
    """Return the numbers of a table or figure as JSON, ours and the published, with the runs behind ours."""
    _check_name(name)
    if name in QUALITATIVE:
        return qualitative(name, evaluations.comparisons(db, tag=tag, synthetic=synthetic))
    stored = evaluations.results(db, tag=tag, synthetic=synthetic)
    db.close()
    observations = observe_all(stored)
    if name in FIGURES:
        return select_figure(figure(name, observations), selection)
    return select_table(reproduce(name, observations), selection)


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise NotFound(f"there is no report {name}; one of {', '.join(NAMES)}")


def _file(content: bytes, name: str, format: ReportFormat) -> Response:
    # SVG can contain scripts; served from our own origin they would run with the user's session.
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{ENDINGS[format]}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=MEDIA_TYPES[format], headers=headers)
