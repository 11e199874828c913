"""``vise data``: the server's data sets, their versions, and the runs that read them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vise_client.client import ViseClient
    from vise_client.schemas.datasets import DatasetVersionView, DatasetView
    from vise_core.specs.recipes.inputs import InputRef

data_app = typer.Typer(help="Data sets of the server, and their versions.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name or id of a data set.")]


@data_app.command("list")
def list_data(search: Annotated[str, typer.Option(help="Part of the name.")] = "") -> None:
    """List the data sets by name."""
    from vise_client.login import connect

    with connect() as vise:
        found = vise.datasets(search=search)
    table = _table("id", "name", "kind", "version", "files", "images or posts", "classes")
    for one in found:
        files, images, classes = _counts(one.version)
        version = str(one.version.number) if one.version else ""
        table.add_row(str(one.id), one.name, one.kind, version, files, images, classes)
    _console().print(table)


@data_app.command()
def add(
    folder: Annotated[str, typer.Argument(help="Folder below the server's data root.")],
    name: Annotated[str, typer.Option(help="Its name; without: the folder's.")] = "",
    kind: Annotated[str, typer.Option(help="images, posts or weights.")] = "images",
    description: Annotated[str, typer.Option()] = "",
) -> None:
    """Register a folder, wait for its survey, and show version 1."""
    from vise_client.login import connect
    from vise_client.schemas.datasets import DatasetCreate

    body = {"name": name or folder.rstrip("/").rpartition("/")[2], "kind": kind, "folder": folder}
    with connect() as vise:
        made = vise.register_dataset(DatasetCreate.model_validate(body | {"description": description}))
        _wait(vise, made.survey_id)
        _tell(vise, vise.dataset(made.id))


@data_app.command()
def show(name: Name) -> None:
    """Show a data set with its versions, and whether its folder has changed."""
    from vise_client.login import connect

    with connect() as vise:
        one = find(vise, name)
        _tell(vise, one)
        table = _table("version", "found", "files", "images or posts", "classes", "runs", "sha256")
        for version in vise.dataset_versions(one.id, limit=200):
            files, images, classes = _counts(version)
            found = f"{version.created_at:%Y-%m-%d %H:%M}"
            digest = version.sha256
            table.add_row(str(version.number), found, files, images, classes, f"{version.runs:,}", digest)
        _console().print(table)


@data_app.command()
def rescan(name: Name) -> None:
    """Survey a registered folder again: another content becomes the next version."""
    from vise_client.login import connect

    with connect() as vise:
        one = find(vise, name)
        before = one.version.number if one.version else None
        _wait(vise, vise.rescan_dataset(one.id).id)
        now = vise.dataset(one.id)
        if now.version is not None and now.version.number == before:
            typer.echo(f"Nothing has changed since version {before}.")
        else:
            _tell(vise, now)


@data_app.command()
def update(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    description: Annotated[str | None, typer.Option(help="Its new description.")] = None,
) -> None:
    """Rename or describe a data set."""
    from vise_client.login import connect
    from vise_client.schemas.datasets import DatasetUpdate

    with connect() as vise:
        made = vise.update_dataset(find(vise, name).id, DatasetUpdate(name=new_name, description=description))
        typer.echo(f"{made.name}  {made.description}".rstrip())


@data_app.command()
def runs(
    name: Name,
    version: Annotated[int | None, typer.Option(min=1, help="Only runs that read this version.")] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only runs that read what is no known version.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 30,
) -> None:
    """List the runs that read a data set, newest first."""
    from vise_client.login import connect

    with connect() as vise:
        found = vise.dataset_runs(find(vise, name).id, version=version, unknown=unknown, limit=limit)
    table = _table("id", "name", "stage", "state", "version")
    for use in found.items:
        read = "not read yet" if use.sha256 is None else "unknown"
        which = str(use.version) if use.version is not None else read
        table.add_row(str(use.run_id), use.name, use.stage or "", use.state, which)
    _console().print(table)
    total = sum(found.states.values())
    if total > len(found.items):
        typer.echo(f"{len(found.items)} of {total:,} runs")


@data_app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False) -> None:
    """Remove a data set's entry, after a list of the runs that read it. Files and runs stay."""
    from vise_client.login import connect

    with connect() as vise:
        one = find(vise, name)
        usage = vise.dataset_runs(one.id, limit=10)
        counted = ", ".join(f"{many:,} {state}" for state, many in sorted(usage.states.items()))
        typer.echo(f"Runs that read {one.name}: {counted or 'none'}")
        for use in usage.items:
            typer.echo(f"  {use.run_id}  {use.name}  {use.state}")
        if yes or typer.confirm(f"Remove the entry {one.name}? Files and runs stay."):
            vise.delete_dataset(one.id)


def find(vise: ViseClient, name: str) -> DatasetView:
    """The data set of this name, or of this id. Raises BadInput where there is none."""
    from uuid import UUID

    from vise_core.errors import BadInput

    for one in vise.datasets(search=name):
        if one.name == name:
            return one
    try:
        return vise.dataset(UUID(name))
    except ValueError:
        raise BadInput(f"there is no data set named {name!r}; vise data list shows them") from None


def warn_of_changes(vise: ViseClient, inputs: Mapping[str, InputRef]) -> None:
    """Say on standard error which data sets' folders a run would not read in their newest version."""
    for role, ref in inputs.items():
        if ref.dataset is not None:
            changes = vise.dataset_changes(ref.dataset)
            if not changes.settled:
                typer.echo(f"warning: {role}: {changes.sentence}", err=True)


def _wait(vise: ViseClient, run_id: Any) -> None:
    """Wait for a survey. Raises BadInput where it does not succeed."""
    from vise_core.errors import BadInput

    run = vise.wait_for(run_id)
    if run.state != "succeeded":
        raise BadInput(f"the survey {run.id} has {run.state}: {run.reason or 'see its log'}")


def _tell(vise: ViseClient, one: DatasetView) -> None:
    place = f"folder {one.folder}" if one.folder else f"from {one.source}"
    typer.echo(f"{one.id}  {one.name}  {one.kind}, {place}")
    if one.version is not None:
        files, images, classes = _counts(one.version)
        parts = [
            f"{files} files",
            f"{images} {one.kind}" if images else "",
            classes and f"{classes} classes",
        ]
        typer.echo(f"version {one.version.number}: {', '.join(filter(None, parts))}")
    for warning in one.found.warnings if one.found else ():
        typer.echo(f"warning: {warning}")
    typer.echo(vise.dataset_changes(one.id).sentence)


def _counts(version: DatasetVersionView | None) -> tuple[str, str, str]:
    """Files, images or posts, and classes."""
    if version is None:
        return "", "", ""
    found = version.found
    images = f"{found.images:,}" if found and found.kind != "weights" else ""
    return f"{version.files:,}", images, f"{len(found.classes):,}" if found and found.classes else ""


def _table(*columns: str) -> Any:
    from rich.table import Table

    return Table(*columns, box=None)


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)
