"""``vise report`` and ``vise paired-test``: the paper's tables and figures, and comparisons of evaluations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vise_client.errors import ClientError

from .extras import require
from .output import say

if TYPE_CHECKING:
    from vise_client.client import ViseClient
    from vise_core.specs.reports.tables import ReportFormat

ALL = "all"


def report(
    name: Annotated[
        str,
        typer.Argument(
            help="results (one table of all evaluations), a table (table6), a figure (figure3); list for their "
            "names, all for every one."
        ),
    ] = "results",
    format: Annotated[
        str | None,
        typer.Option(
            help="Tables: markdown, csv or latex. Figures: png, svg or pdf. With all, every format is written."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. With all: a folder.")] = None,
    published: Annotated[bool, typer.Option("--published", help="Add the paper's own numbers.")] = False,
    only_run: Annotated[bool, typer.Option("--only-run", help="Leave out rows without a run.")] = False,
    task: Annotated[str | None, typer.Option(help="With results: only this task.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    local: Annotated[
        list[Path] | None,
        typer.Option(
            "--local",
            help="A folder of `vise run --local`, or one that holds several. Needs no server. Repeatable.",
        ),
    ] = None,
) -> None:
    """Make the paper's tables and figures, or one table of all evaluations, from runs on a server or local ones."""
    if local:
        if tag is not None:
            raise ClientError("--tag: local runs have no tags; leave it out")
        _report_locally(name, format, out, local, published=published, only_run=only_run, task=task)
        return
    from vise_client.login import connect

    with connect() as vise:
        if name == "list":
            for entry in vise.reports():
                say(f"{entry.name:9} {entry.title:10} {', '.join(entry.formats):24} {entry.caption}")
            return
        if name == ALL:
            _report_all(vise, out or Path("report"), published=published, only_run=only_run, tag=tag)
            return
        content = vise.report(
            name,
            cast("ReportFormat | None", format),
            published=published,
            only_run=only_run,
            tag=tag,
            task=task,
        )
    _write(name, content, out)


def _report_all(vise: ViseClient, folder: Path, *, published: bool, only_run: bool, tag: str | None) -> None:
    """Write every table and figure in every format, and print the path of each."""
    from vise_core.specs.reports.tables import ENDINGS

    folder.mkdir(parents=True, exist_ok=True)
    for entry in vise.reports():
        for format in entry.formats:
            content = vise.report(entry.name, format, published=published, only_run=only_run, tag=tag)
            path = folder / f"{entry.name}.{ENDINGS[format]}"
            path.write_bytes(content)
            say(str(path))


def _report_locally(
    name: str,
    format: str | None,
    out: Path | None,
    folders: list[Path],
    *,
    published: bool,
    only_run: bool,
    task: str | None,
) -> None:
    require("report", "vise report --local")
    from vise_client.local.results import local_report, local_reports
    from vise_core.specs.reports.tables import Selection

    if name == ALL:
        for path in local_reports(folders, out or Path("report"), published=published):
            say(str(path))
        return
    selection = Selection(task=task)
    content = local_report(folders, name, format, selection, published=published, only_run=only_run)
    _write(name, content, out)


def _write(name: str, content: bytes, out: Path | None) -> None:
    if out is not None:
        out.write_bytes(content)
    elif b"\0" in content and sys.stdout.isatty():
        raise ClientError(f"{name} is a picture: name a file with --out")
    elif sys.stdout.isatty():
        say(content.decode())
    else:
        sys.stdout.buffer.write(content)


def paired_test(
    a: Annotated[str, typer.Argument(help="Id of an evaluate run.")],
    b: Annotated[str, typer.Argument(help="Id of the evaluate run to compare with.")],
) -> None:
    """Compare two evaluations over their splits: mean of a minus b, p-value, effect size."""
    from vise_client.login import connect

    with connect() as vise:
        test = vise.paired_test(a, b)
    say(f"{test.task}, {test.protocol}, {test.metric} on {test.on}:")
    say(test.sentence())
    if test.synthetic:
        say("synthetic data: generated, not real")
