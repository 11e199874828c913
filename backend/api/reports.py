"""The paper's tables and figures from the results in the store."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.store import evaluations
from backend.store.errors import Invalid, NotFound
from vise_core.errors import BadInput
from vise_core.report import (
    ENDINGS,
    MEDIA_TYPES,
    NAMES,
    OurFigure,
    PairedTest,
    QualitativeFigure,
    ReportEntry,
    ReportFormat,
    ReproducedTable,
    build_table,
    catalogue,
    figure,
    formats,
    observe_all,
    paired_test,
    qualitative,
    render_table,
    report,
    reproduce,
)
from vise_core.report.published import FIGURES, QUALITATIVE
from vise_core.specs.evaluate import EvaluateResult

from .dependencies import Db, Store

router = APIRouter(prefix="/reports", tags=["reports"])

Tag = Annotated[str | None, Query(max_length=80, description="Only runs that carry this tag.")]


@router.get("", response_model=list[ReportEntry])
def list_reports() -> list[ReportEntry]:
    """Every table and figure that can be asked for, with its formats."""
    return catalogue()


@router.get("/results", response_class=Response)
def results(db: Db, format: ReportFormat = "markdown", task: str | None = None, tag: Tag = None) -> Response:
    """One table of all evaluations: method by task and protocol."""
    if format not in ("markdown", "csv", "latex"):
        raise Invalid("format", "results come as markdown, csv or latex")
    found: dict[tuple[str, ...], EvaluateResult] = {}
    for _, result in evaluations.results(db, tag=tag):
        place = (result.method, result.backbone, result.task, result.protocol, result.setup)
        if task is None or result.task == task:
            found.setdefault(place, result)  # the newest
    if not found:
        raise NotFound("no evaluation has succeeded yet, or none of this task or tag")
    return _file(render_table(build_table(list(found.values())[::-1]), format).encode(), "results", format)


@router.get("/paired", response_model=PairedTest)
def paired(db: Db, a: UUID, b: UUID) -> PairedTest:
    """Two evaluations compared over their splits: a minus b, p-value, effect size."""
    try:
        return paired_test(evaluations.result(db, a, "a"), evaluations.result(db, b, "b"))
    except BadInput as error:
        raise Invalid("b", str(error)) from error


@router.get("/{name}", response_class=Response)
def read(
    name: str,
    db: Db,
    storage: Store,
    format: ReportFormat | None = None,
    published: Annotated[bool, Query(description="Lay the paper's own numbers beside ours, marked.")] = False,
    only_run: Annotated[bool, Query(description="Leave out rows that nobody ran.")] = False,
    tag: Tag = None,
) -> Response:
    """A table or figure as a file; without a format: Markdown or PNG."""
    _known(name)
    wanted: ReportFormat = format or formats(name)[0]
    if wanted not in formats(name):
        raise Invalid("format", f"{name} comes as {', '.join(formats(name))}")
    if name in QUALITATIVE:
        shown = evaluations.comparisons(db, tag=tag)
        read_picture = evaluations.pictures(db, storage)
        content = report(name, (), wanted, with_published=published, comparisons=shown, pictures=read_picture)
    else:
        observations = observe_all(evaluations.results(db, tag=tag))
        content = report(name, observations, wanted, with_published=published, only_run=only_run)
    return _file(content, name, wanted)


@router.get("/{name}/data", response_model=ReproducedTable | OurFigure | QualitativeFigure)
def data(name: str, db: Db, tag: Tag = None) -> ReproducedTable | OurFigure | QualitativeFigure:
    """The numbers of a table or figure, ours and the published, each with the runs behind it."""
    _known(name)
    if name in QUALITATIVE:
        return qualitative(name, evaluations.comparisons(db, tag=tag))
    observations = observe_all(evaluations.results(db, tag=tag))
    return figure(name, observations) if name in FIGURES else reproduce(name, observations)


def _known(name: str) -> None:
    if name not in NAMES:
        raise NotFound(f"there is no report {name}; one of {', '.join(NAMES)}")


def _file(content: bytes, name: str, format: ReportFormat) -> Response:
    # SVG can hold script; shown from our own address it would act as the user.
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{ENDINGS[format]}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=MEDIA_TYPES[format], headers=headers)
