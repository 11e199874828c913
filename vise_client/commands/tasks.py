"""``vise tasks``: list the paper's tasks, and verify their folders on this machine. Needs no server."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import command_group
from .extras import require
from .output import say, show_table

if TYPE_CHECKING:
    from vise_core.specs.tasks.kinds import Task
    from vise_core.specs.tasks.report import TaskReport

tasks_app = command_group(
    help="Downstream tasks of the paper, and checks of their data sets on this machine.", no_args_is_help=True
)


@tasks_app.command("list")
def list_tasks() -> None:
    """List the paper's tasks with their classes, images, metric and layout of files."""
    from vise_core.specs.tasks.catalogue import TASKS
    from vise_core.specs.tasks.metrics import METRICS

    rows = []
    for kind, task in TASKS.items():
        counts = " / ".join(
            f"{task.counts[part]:,}" if part in task.counts else "–" for part in ("train", "val", "test")
        )
        rows.append((kind, task.title, str(task.classes), counts, METRICS[task.metric].title, task.layout))
    show_table(("name", "task", "classes", "train / val / test", "metric", "layout"), rows)
    say("Images of your own: folder (<class>/<image>) and csv (a table of path, label, perhaps split).")


@tasks_app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name of a task, as vise tasks list, or folder or csv.")],
    path: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of the task, such as val=dev_seen. Repeatable."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check lists and file names only; open no image.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    first: Annotated[int, typer.Option(min=1, help="How many files to name for each fault.")] = 10,
    workers: Annotated[int, typer.Option(min=1, max=128, help="Files to read at a time.")] = 2,
) -> None:
    """Compare a folder with the published data set: counts, missing, damaged and repeated files.

    Exits with 1 where an evaluation on the folder would fail.
    """
    require("core", "vise tasks verify")
    from rich.progress import Progress

    from vise_core.tasks.verify import verify_task

    from .run_files import read_spec

    spec = _task(name, read_spec(None, changes or []))
    with Progress(transient=True, disable=not sys.stderr.isatty(), console=_stderr()) as bar:
        task = bar.add_task("reading images", total=None)
        report = verify_task(
            spec,
            path,
            decode=not quick,
            workers=workers,
            name_first=first,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(report.model_dump_json(indent=1) if json else _text(report))
    raise typer.Exit(0 if report.usable else 1)


def _task(name: str, fields: dict[str, Any]) -> Task:
    """Return the spec of a task by its name or title, ignoring case and punctuation.

    Raises BadInput for an unknown task, pydantic.ValidationError for wrong fields.
    """
    from pydantic import TypeAdapter

    from vise_core.errors import BadInput
    from vise_core.specs.tasks.catalogue import TASKS
    from vise_core.specs.tasks.kinds import Task

    kinds = {_plain(kind): kind for kind in (*TASKS, "folder", "csv")}
    kinds |= {_plain(task.title): kind for kind, task in TASKS.items()}
    if _plain(name) not in kinds:
        raise BadInput(f"no task {name!r}; one of {', '.join(TASKS)}, folder, csv")
    return TypeAdapter(Task).validate_python({"kind": kinds[_plain(name)], **fields})


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _text(report: TaskReport) -> str:
    lines = [f"{report.title} ({report.kind}): {report.verdict}"]
    for split in report.splits:
        expected = "" if split.expected is None else f" of {split.expected:,}"
        counts = split.classes.values()
        spread = f"{len(split.classes)} classes of {min(counts):,} to {max(counts):,} images"
        lines.append(f"  {split.split:5} {split.found:,}{expected}: {spread}")
    for title, listed in (
        ("missing", report.missing),
        ("unreadable", report.unreadable),
        ("the same in two splits", report.shared),
        ("repeated", report.repeated),
    ):
        if listed.number:
            lines.append(f"  {title}: {listed.number:,}")
            lines += [f"    {item}" for item in listed.first]
            if listed.number > len(listed.first):
                lines.append(f"    … and {listed.number - len(listed.first):,} more")
    return "\n".join([*lines, *report.sentences])


def _stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)
