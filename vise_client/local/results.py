"""``vise report --local``: tables and figures from the results that ``vise run --local`` wrote, with no server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from vise_core.errors import BadInput
from vise_core.report import NAMES, build_table, formats, observe_all, render_table, report, write_all
from vise_core.report.published import QUALITATIVE
from vise_core.report.render import TableFormat
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.reports.tables import Selection

RESULT = "result.json"


def local_evaluations(folders: Iterable[Path]) -> list[tuple[str, EvaluateResult]]:
    """(folder, result) of every evaluation in or below the folders, newest first.

    Other stages' results are passed over. Raises BadInput for a folder without any evaluation, and for a result
    that cannot be read.
    """
    results: dict[Path, EvaluateResult] = {}
    for folder in folders:
        paths = sorted(folder.rglob(RESULT)) if folder.is_dir() else []
        # A run keeps its result twice: beside its work folder, and as an artifact.
        runs = [path for path in paths if "artifacts" not in path.relative_to(folder).parts[:-1]]
        evaluations = {path.parent: found for path in runs if (found := _evaluation(path)) is not None}
        if not evaluations:
            raise BadInput(
                f"{folder}: no evaluation there; name the folder that `vise run evaluate --local --out` wrote"
            )
        results |= {place.resolve(): found for place, found in evaluations.items()}
    newest = sorted(results.items(), key=lambda item: _started(item[1]), reverse=True)
    return [(str(place), result) for place, result in newest]


def local_report(
    folders: Iterable[Path],
    what: str,
    format: str | None,
    wanted: Selection,
    *,
    published: bool = False,
    only_run: bool = False,
) -> bytes:
    """The table ``results``, or one of the paper's tables and figures, as a file's content. Raises BadInput."""
    if what != "results" and (what not in NAMES or what in QUALITATIVE):
        names = ", ".join(name for name in NAMES if name not in QUALITATIVE)
        raise BadInput(f"no report {what!r} of local runs; one of results, {names}")
    evaluations = local_evaluations(folders)
    if what == "results":
        chosen = next((one for one in get_args(TableFormat) if one == (format or "markdown")), None)
        if chosen is None:
            raise BadInput(f"format: results come as {', '.join(get_args(TableFormat))}, not {format}")
        rows = [result for _, result in reversed(evaluations) if wanted.task in (None, result.task)]
        if not rows:
            tasks = ", ".join(sorted({result.task for _, result in evaluations}))
            raise BadInput(f"task: no evaluation of {wanted.task!r} there; one of {tasks}")
        return render_table(build_table(rows), chosen).encode()
    offered = formats(what)
    if format is not None and format not in offered:
        raise BadInput(f"format: {what} comes as {', '.join(offered)}, not {format}")
    chosen_format = next((one for one in offered if one == format), offered[0])
    return report(
        what,
        observe_all(evaluations),
        chosen_format,
        with_published=published,
        only_run=only_run,
        wanted=wanted,
    )


def local_reports(folders: Iterable[Path], out: Path, *, published: bool = False) -> Iterator[Path]:
    """Write every table and figure in every format; yields each file. Raises BadInput."""
    return write_all(local_evaluations(folders), out, with_published=published)


def _evaluation(path: Path) -> EvaluateResult | None:
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInput(f"{path}: not a result of a run ({error})") from error
    provenance = values.get("provenance") if isinstance(values, dict) else None
    if not isinstance(provenance, dict) or provenance.get("stage") != "evaluate":
        return None
    try:
        return EvaluateResult.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {field}: {first['msg']}; run the evaluation again") from error


def _started(result: EvaluateResult) -> str:
    return result.provenance.started_at if result.provenance else ""
