"""``vise report --local``: tables and figures from the results of ``vise run --local``, without a server."""

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
    """Return (folder, result) of every evaluation in or below the folders, newest first.

    Results of other stages are skipped. Raises BadInput for a folder without an evaluation, and for a result that
    cannot be read.
    """
    results: dict[Path, EvaluateResult] = {}
    for folder in folders:
        paths = sorted(folder.rglob(RESULT)) if folder.is_dir() else []
        # A run keeps its result twice: beside its work folder, and as an artifact.
        runs = [path for path in paths if "artifacts" not in path.relative_to(folder).parts[:-1]]
        evaluations = {path.parent: result for path in runs if (result := _evaluation(path)) is not None}
        if not evaluations:
            raise BadInput(
                f"{folder}: no evaluation in this folder; name one that `vise run evaluate --local --out` wrote"
            )
        results |= {place.resolve(): result for place, result in evaluations.items()}
    newest = sorted(results.items(), key=lambda item: _started(item[1]), reverse=True)
    return [(str(place), result) for place, result in newest]


def local_report(
    folders: Iterable[Path],
    name: str,
    format: str | None,
    selection: Selection,
    *,
    published: bool = False,
    only_run: bool = False,
) -> bytes:
    """Return the table ``results``, or one of the paper's tables and figures, as a file's content.

    Raises BadInput for an unknown name or format, and for folders without such an evaluation.
    """
    if name != "results" and (name not in NAMES or name in QUALITATIVE):
        names = ", ".join(known for known in NAMES if known not in QUALITATIVE)
        raise BadInput(f"no report {name!r} of local runs; one of results, {names}")
    evaluations = local_evaluations(folders)
    if name == "results":
        table_format = next(
            (known for known in get_args(TableFormat) if known == (format or "markdown")), None
        )
        if table_format is None:
            raise BadInput(f"format: results are written as {', '.join(get_args(TableFormat))}, not {format}")
        rows = [result for _, result in reversed(evaluations) if selection.task in (None, result.task)]
        if not rows:
            tasks = ", ".join(sorted({result.task for _, result in evaluations}))
            raise BadInput(f"task: no evaluation of {selection.task!r}; one of {tasks}")
        return render_table(build_table(rows), table_format).encode()
    offered = formats(name)
    if format is not None and format not in offered:
        raise BadInput(f"format: {name} is written as {', '.join(offered)}, not {format}")
    chosen_format = next((known for known in offered if known == format), offered[0])
    return report(
        name,
        observe_all(evaluations),
        chosen_format,
        with_published=published,
        only_run=only_run,
        selection=selection,
    )


def local_reports(folders: Iterable[Path], out: Path, *, published: bool = False) -> Iterator[Path]:
    """Write every table and figure in every format, and yield each path.

    Raises BadInput for a folder without an evaluation.
    """
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
