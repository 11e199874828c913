"""``vise report``: the paper's tables and figures, filled by the server's runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vise_client.errors import ClientError

if TYPE_CHECKING:
    from vise_core.specs.reports.tables import ReportFormat

ALL = "all"


def report(
    what: Annotated[
        str, typer.Argument(help="results, a table (table6), a figure (figure3), list, or all.")
    ] = "results",
    format: Annotated[
        str | None,
        typer.Option(help="Tables: markdown, csv, latex. Figures: png, svg, pdf. all writes every one."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; with all: a folder.")] = None,
    published: Annotated[bool, typer.Option("--published", help="The paper's numbers beside ours.")] = False,
    only_run: Annotated[bool, typer.Option("--only-run", help="Leave out rows that nobody ran.")] = False,
    task: Annotated[str | None, typer.Option(help="results: only this task.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs that carry this tag.")] = None,
    local: Annotated[
        list[Path] | None,
        typer.Option(
            "--local",
            help="A folder of `vise run --local`, or one that holds several; no server. Repeatable.",
        ),
    ] = None,
) -> None:
    """The paper's tables and figures, or one table of all evaluations, from the server's runs or local ones."""
    if local:
        if tag is not None:
            raise ClientError("--tag: local runs have no tags; leave it out")
        _report_locally(what, format, out, local, published=published, only_run=only_run, task=task)
        return
    from vise_client.login import connect
    from vise_core.specs.reports.tables import ENDINGS

    with connect() as vise:
        if what == "list":
            for entry in vise.reports():
                typer.echo(f"{entry.name:9} {entry.title:10} {', '.join(entry.formats):24} {entry.caption}")
            return
        if what == ALL:
            folder = out or Path("report")
            folder.mkdir(parents=True, exist_ok=True)
            for entry in vise.reports():
                for one in entry.formats:
                    content = vise.report(entry.name, one, published=published, only_run=only_run, tag=tag)
                    path = folder / f"{entry.name}.{ENDINGS[one]}"
                    path.write_bytes(content)
                    typer.echo(path)
            return
        content = vise.report(
            what,
            cast("ReportFormat | None", format),
            published=published,
            only_run=only_run,
            tag=tag,
            task=task,
        )
    _write(what, content, out)


def _write(what: str, content: bytes, out: Path | None) -> None:
    if out is not None:
        out.write_bytes(content)
    elif b"\0" in content and sys.stdout.isatty():
        raise ClientError(f"{what} is a picture: name a file with --out")
    else:
        sys.stdout.buffer.write(content)


def _report_locally(
    what: str,
    format: str | None,
    out: Path | None,
    folders: list[Path],
    *,
    published: bool,
    only_run: bool,
    task: str | None,
) -> None:
    from vise_client.local.results import local_report, local_reports
    from vise_core.specs.reports.tables import Selection

    wanted = Selection(task=task)
    if what == ALL:
        for path in local_reports(folders, out or Path("report"), published=published):
            typer.echo(path)
        return
    content = local_report(folders, what, format, wanted, published=published, only_run=only_run)
    _write(what, content, out)


def paired(a: str, b: str) -> None:
    """Two evaluations (run ids) compared over their splits: a minus b, p-value, effect size."""
    from vise_client.login import connect

    with connect() as vise:
        found = vise.paired_test(a, b)
    typer.echo(f"{found.task}, {found.protocol}, {found.metric} on {found.on}:")
    typer.echo(found.sentence())
    if found.synthetic:
        typer.echo("synthetic data: generated, not real")
