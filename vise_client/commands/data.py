"""``vise data``: the server's data sets, their versions, and the runs that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .app import command_group
from .output import say, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from vise_client.client import ViseClient
    from vise_client.schemas.datasets import DatasetVersionView, DatasetView
    from vise_core.specs.recipes.inputs import InputRef

data_app = command_group(help="Data sets of the server, and their versions.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name or id of a data set.")]


@data_app.command("list")
def list_datasets(search: Annotated[str, typer.Option(help="Part of the name.")] = "") -> None:
    """List the data sets by name."""
    from vise_client.login import connect

    with connect() as vise:
        datasets = vise.datasets(search=search)
    rows = [
        (
            str(dataset.id),
            dataset.name,
            dataset.kind,
            str(dataset.version.number) if dataset.version else "",
            *_counts(dataset.version),
        )
        for dataset in datasets
    ]
    show_table(("id", "name", "kind", "version", "files", "images or posts", "classes"), rows)


@data_app.command()
def add(
    folder: Annotated[str, typer.Argument(help="Folder below the server's data root.")],
    name: Annotated[str, typer.Option(help="Name of the data set. Without: the folder's.")] = "",
    kind: Annotated[str, typer.Option(help="images, posts or weights.")] = "images",
    description: Annotated[str, typer.Option(help="What the data set is.")] = "",
) -> None:
    """Register a folder as a data set, wait for its survey, and show version 1."""
    from vise_client.login import connect
    from vise_client.schemas.datasets import DatasetCreate

    body = {"name": name or folder.rstrip("/").rpartition("/")[2], "kind": kind, "folder": folder}
    with connect() as vise:
        dataset = vise.register_dataset(DatasetCreate.model_validate(body | {"description": description}))
        _wait(vise, dataset.survey_id)
        _show(vise, vise.dataset(dataset.id))


@data_app.command()
def show(name: Name) -> None:
    """Show a data set and its versions, and whether its folder has changed."""
    from vise_client.login import connect

    with connect() as vise:
        dataset = find(vise, name)
        _show(vise, dataset)
        rows = [
            (
                str(version.number),
                f"{version.created_at:%Y-%m-%d %H:%M}",
                *_counts(version),
                f"{version.runs:,}",
                version.sha256,
            )
            for version in vise.dataset_versions(dataset.id, limit=200)
        ]
        show_table(("version", "created", "files", "images or posts", "classes", "runs", "sha256"), rows)


@data_app.command()
def rescan(name: Name) -> None:
    """Survey a registered folder again; changed content becomes the next version."""
    from vise_client.login import connect

    with connect() as vise:
        dataset = find(vise, name)
        before = dataset.version.number if dataset.version else None
        _wait(vise, vise.rescan_dataset(dataset.id).id)
        now = vise.dataset(dataset.id)
        if now.version is not None and now.version.number == before:
            say(f"Nothing has changed since version {before}.")
        else:
            _show(vise, now)


@data_app.command()
def update(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    description: Annotated[str | None, typer.Option(help="New description.")] = None,
) -> None:
    """Rename or describe a data set."""
    from vise_client.login import connect
    from vise_client.schemas.datasets import DatasetUpdate

    with connect() as vise:
        body = DatasetUpdate(name=new_name, description=description)
        dataset = vise.update_dataset(find(vise, name).id, body)
        say(f"{dataset.name}  {dataset.description}".rstrip())


@data_app.command()
def runs(
    name: Name,
    version: Annotated[int | None, typer.Option(min=1, help="Only runs that read this version.")] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only runs whose data is of no known version.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many runs to list.")] = 30,
) -> None:
    """List the runs that read a data set, newest first."""
    from vise_client.login import connect

    with connect() as vise:
        usage = vise.dataset_runs(find(vise, name).id, version=version, unknown=unknown, limit=limit)
    rows = []
    for use in usage.items:
        unversioned = "not read yet" if use.sha256 is None else "unknown"
        read = str(use.version) if use.version is not None else unversioned
        rows.append((str(use.run_id), use.name, use.stage or "", use.state, read))
    show_table(("id", "name", "stage", "state", "version"), rows)
    total = sum(usage.states.values())
    if total > len(usage.items):
        say(f"{len(usage.items)} of {total:,} runs")


@data_app.command()
def remove(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Remove without a question.")] = False
) -> None:
    """List what was made from a data set, ask, and remove it. A registered folder stays; the files of an upload or download are deleted."""
    from vise_client.login import connect

    from .deletion import NAMED, confirm

    with connect() as vise:
        dataset = find(vise, name)
        derived = vise.dataset_derived(dataset.id, limit=NAMED)
        confirm(f"Remove {dataset.name}? {dataset.what_removal_does}", derived, yes=yes)
        vise.delete_dataset(dataset.id)
    say(f"removed {dataset.name}")


def find(vise: ViseClient, name: str) -> DatasetView:
    """Return the data set with this name or id. Raises BadInput where there is none."""
    from uuid import UUID

    from vise_core.errors import BadInput

    for dataset in vise.datasets(search=name):
        if dataset.name == name:
            return dataset
    try:
        return vise.dataset(UUID(name))
    except ValueError:
        raise BadInput(f"no data set named {name!r}: see vise data list") from None


def warn_of_changes(vise: ViseClient, inputs: Mapping[str, InputRef]) -> None:
    """Warn on standard error of data sets whose folder differs from their newest version."""
    for role, ref in inputs.items():
        if ref.dataset is not None:
            changes = vise.dataset_changes(ref.dataset)
            if not changes.settled:
                say(f"warning: {role}: {changes.sentence}", err=True)


def _wait(vise: ViseClient, survey_id: UUID | None) -> None:
    """Wait for a survey. Raises BadInput where it does not succeed."""
    from vise_core.errors import BadInput

    if survey_id is None:
        raise BadInput("the data set has no survey to wait for")
    run = vise.wait_for(survey_id)
    if run.state != "succeeded":
        raise BadInput(f"the survey {run.id} has {run.state}: {run.reason or 'see its log'}")


def _show(vise: ViseClient, dataset: DatasetView) -> None:
    place = f"folder {dataset.folder}" if dataset.folder else f"from {dataset.source}"
    say(f"{dataset.id}  {dataset.name}  {dataset.kind}, {place}")
    if dataset.version is not None:
        files, images, classes = _counts(dataset.version)
        parts = [
            f"{files} files",
            f"{images} {dataset.kind}" if images else "",
            classes and f"{classes} classes",
        ]
        say(f"version {dataset.version.number}: {', '.join(filter(None, parts))}")
    for warning in dataset.survey.warnings if dataset.survey else ():
        say(f"warning: {warning}")
    say(vise.dataset_changes(dataset.id).sentence)


def _counts(version: DatasetVersionView | None) -> tuple[str, str, str]:
    """Return the numbers of files, of images or posts, and of classes, as text; empty where unknown."""
    if version is None:
        return "", "", ""
    survey = version.survey
    images = f"{survey.images:,}" if survey and survey.kind != "weights" else ""
    return f"{version.files:,}", images, f"{len(survey.classes):,}" if survey and survey.classes else ""
