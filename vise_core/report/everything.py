"""Write tables and figures by name or all at once, for ``vise report`` and the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from vise_core.errors import BadInput
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.reports.tables import ENDINGS, ReportEntry, ReportFormat, Selection

from .draw import PictureFormat, draw
from .draw_qualitative import draw_qualitative
from .figures import figure
from .observations import Observation, observe_all
from .published import FIGURES, QUALITATIVE, published, published_figure, published_qualitative
from .qualitative import Comparison, Pictures, qualitative
from .render import TableFormat, render_reproduced
from .reproduced import REPRODUCED, reproduce
from .select import select_figure, select_table

MEDIA_TYPES: dict[ReportFormat, str] = {
    "markdown": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "latex": "application/x-tex; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
}
NAMES = (*REPRODUCED, *FIGURES, *QUALITATIVE)
"""Every table and figure that our evaluations and comparisons can fill."""


def catalogue() -> list[ReportEntry]:
    """Return an entry for each of ``NAMES``, in the paper's order."""
    return [
        ReportEntry(
            name=name,
            kind="table" if name in REPRODUCED else "figure",
            title=f"{'Table' if name in REPRODUCED else 'Figure'} {name.lstrip('tablefigur')}",
            caption=_caption(name),
            formats=formats(name),
        )
        for name in NAMES
    ]


def _caption(name: str) -> str:
    if name in REPRODUCED:
        return published(name).caption
    return (published_figure(name) if name in FIGURES else published_qualitative(name)).caption


def formats(name: str) -> tuple[ReportFormat, ...]:
    """Return the file formats of a table or figure. Raises BadInput for a name that is not in ``NAMES``."""
    if name in REPRODUCED:
        return get_args(TableFormat)
    if name in NAMES:
        return get_args(PictureFormat)
    raise BadInput(f"no report {name!r}; one of {', '.join(NAMES)}")


def report(
    name: str,
    observations: Sequence[Observation],
    format: ReportFormat,
    *,
    with_published: bool = False,
    only_run: bool = False,
    selection: Selection | None = None,
    comparisons: Sequence[Comparison] = (),
    pictures: Pictures | None = None,
) -> bytes:
    """Return a table or figure as the content of a file.

    ``comparisons`` (newest first) and their ``pictures`` fill Figures 7 and 8. ``with_published`` adds the paper's own
    numbers, marked as published. ``only_run`` leaves out a table's rows without runs, which otherwise read "not run".
    ``selection`` keeps one task, protocol, backbone or method. Raises BadInput for an unknown name, a format that the
    report does not have, or a selection that leaves nothing of it.
    """
    if format not in formats(name):
        raise BadInput(f"{name} has no format {format!r}; one of {', '.join(formats(name))}")
    if format == "png" or format == "svg" or format == "pdf":
        if name in QUALITATIVE:
            shown = qualitative(name, comparisons)
            return draw_qualitative(shown, format, pictures or _no_pictures, published=with_published)
        selected = select_figure(figure(name, observations), selection or Selection())
        if not selected.panels:
            raise _nothing_left(name, selection)
        return draw(selected, format, published=with_published)
    table = select_table(reproduce(name, observations), selection or Selection())
    if not table.columns:
        raise _nothing_left(name, selection)
    table = table.only_run() if only_run else table
    return render_reproduced(table, format, "both" if with_published else "ours").encode()


def _nothing_left(name: str, selection: Selection | None) -> BadInput:
    chosen = selection.model_dump(exclude_none=True) if selection is not None else {}
    facts = " and ".join(f"the {fact} {value!r:.100}" for fact, value in chosen.items())
    return BadInput(f"{name} has nothing with {facts}; leave out the filter to see what it has")


def _no_pictures(run: str, file: str) -> bytes:
    raise BadInput(f"comparison {run}: its picture {file} is missing")


def write_all(
    results: Iterable[tuple[str, EvaluateResult]], folder: Path, *, with_published: bool = False
) -> Iterator[Path]:
    """Write each table and figure of ``results`` (run id, result) in all its formats; yield each file once written."""
    observations = observe_all(results)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for format in formats(name):
            path = folder / f"{name}.{ENDINGS[format]}"
            path.write_bytes(report(name, observations, format, with_published=with_published))
            yield path
