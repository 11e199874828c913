"""The paper's tables and figures from the results in the store."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from backend.api.dependencies import Db, Store
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
from vise_core.specs.evaluate import EvaluateResult

router = APIRouter(prefix="/reports", tags=["reports"])

Tag = Annotated[str | None, Query(max_length=80, description="Only runs that carry this tag.")]
Synthetic = Annotated[
    bool | None, Query(description="Only runs on generated data, or only on real; without: all.")
]
Name = Annotated[str | None, Query(max_length=200)]


def _selection(
    task: Name = None, protocol: Name = None, backbone: Name = None, method: Name = None
) -> Selection:
    return Selection(task=task, protocol=protocol, backbone=backbone, method=method)


Wanted = Annotated[Selection, Depends(_selection)]


@router.get("", response_model=list[ReportEntry])
def list_reports() -> list[ReportEntry]:
    """Every table and figure that can be asked for, with its formats."""
    return catalogue()


@router.get("/choices", response_model=Choices)
def choices(db: Db) -> Choices:
    """Tasks, protocols, backbones, methods and tags that can be asked for."""
    return evaluations.choices(db)


@router.get("/results", response_class=Response)
def results(
    db: Db, wanted: Wanted, format: ReportFormat = "markdown", tag: Tag = None, synthetic: Synthetic = None
) -> Response:
    """One table of all evaluations: method by task and protocol, a column for each data and splits."""
    if format not in ("markdown", "csv", "latex"):
        raise Invalid("format", "results come as markdown, csv or latex")
    found = [result for _, result in _newest(db, wanted, tag, synthetic)]
    return _file(render_table(build_table(found), format).encode(), "results", format)


@router.get("/results/data", response_model=EvaluationTable)
def results_data(db: Db, wanted: Wanted, tag: Tag = None, synthetic: Synthetic = None) -> EvaluationTable:
    """The same as data, with the run behind each number."""
    return evaluation_table(_newest(db, wanted, tag, synthetic))


def _newest(
    db: Db, wanted: Selection, tag: str | None, synthetic: bool | None
) -> list[tuple[str, EvaluateResult]]:
    """The newest evaluation of each place, oldest first; one on real data before one on generated."""
    found: dict[tuple[str, ...], tuple[str, EvaluateResult]] = {}
    asked = {name: value for name, value in wanted.model_dump().items() if value is not None}
    stored = evaluations.results(db, tag=tag, synthetic=synthetic)
    for run, result in sorted(stored, key=lambda pair: pair[1].synthetic):
        place = (
            result.method,
            result.backbone,
            result.task,
            result.protocol,
            result.setup,
            result.metric,
            measured_on(result).key,
        )
        if all(getattr(result, name) == value for name, value in asked.items()):
            found.setdefault(place, (run, result))
    if not found:
        raise NotFound("no evaluation has succeeded yet, or none that is asked for")
    return sorted(found.values(), key=lambda pair: pair[0])


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
    wanted: Wanted,
    format: ReportFormat | None = None,
    published: Annotated[bool, Query(description="Lay the paper's own numbers beside ours, marked.")] = False,
    only_run: Annotated[bool, Query(description="Leave out rows that nobody ran.")] = False,
    tag: Tag = None,
    synthetic: Synthetic = None,
    run: Annotated[UUID | None, Query(description="Figures 7 and 8: of this comparison.")] = None,
) -> Response:
    """A table or figure as a file; without a format: Markdown or PNG."""
    _known(name)
    chosen: ReportFormat = format or formats(name)[0]
    if chosen not in formats(name):
        raise Invalid("format", f"{name} comes as {', '.join(formats(name))}")
    if name in QUALITATIVE:
        content = report(
            name,
            (),
            chosen,
            with_published=published,
            comparisons=evaluations.comparisons(db, tag=tag, synthetic=synthetic, run=run),
            pictures=evaluations.pictures(db, storage),
        )
    else:
        observations = observe_all(evaluations.results(db, tag=tag, synthetic=synthetic))
        content = report(
            name, observations, chosen, with_published=published, only_run=only_run, selection=wanted
        )
    return _file(content, name, chosen)


@router.get("/{name}/data", response_model=ReproducedTable | OurFigure | QualitativeFigure)
def data(
    name: str, db: Db, wanted: Wanted, tag: Tag = None, synthetic: Synthetic = None
) -> ReproducedTable | OurFigure | QualitativeFigure:
    """The numbers of a table or figure, ours and the published, each with the runs behind it."""
    _known(name)
    if name in QUALITATIVE:
        return qualitative(name, evaluations.comparisons(db, tag=tag, synthetic=synthetic))
    observations = observe_all(evaluations.results(db, tag=tag, synthetic=synthetic))
    if name in FIGURES:
        return select_figure(figure(name, observations), wanted)
    return select_table(reproduce(name, observations), wanted)


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
