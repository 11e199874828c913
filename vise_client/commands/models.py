"""``vise models``: registered models, and import of published weights."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import command_group
from .deletion import NAMED, Yes, confirm
from .extras import require
from .output import console, numbers, say, show_table

if TYPE_CHECKING:
    from vise_client.client import ViseClient
    from vise_core.specs.import_weights import ImportResult

models_app = command_group(
    help="Registered models (listed without a command), and published weights to import.",
    invoke_without_command=True,
)

FORMATS_WIDTH = 280  # characters, where the output is no terminal


@models_app.callback()
def list_models(context: typer.Context) -> None:
    """List the registered models, which serve predictions."""
    if context.invoked_subcommand is not None:
        return
    from vise_client.login import connect

    with connect() as vise:
        rows = [
            (
                str(model.id),
                model.name,
                model.method,
                model.task,
                numbers(model.headline),
                "yes" if model.default else "",
                "synthetic" if model.synthetic else "",
            )
            for model in vise.models()
        ]
    columns = ("id", "name", "method", "task", "results", "default", "data")
    show_table(columns, rows, pipe_width=FORMATS_WIDTH)


@models_app.command("formats")
def list_formats() -> None:
    """List the formats of published weights that can be imported."""
    require("core", "vise models formats")
    from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS

    rows = [
        (
            name,
            layout.title,
            "\n".join(layout.rows) or "--row",
            "\n".join(known.name for known in layout.files),
            layout.licence,
        )
        for name, layout in CHECKPOINT_FORMATS.items()
    ]
    show_table(("name", "format", "row", "files", "licence"), rows, pipe_width=FORMATS_WIDTH)


@models_app.command()
def delete(
    name: Annotated[str, typer.Argument(help="Name or id of a model.")],
    yes: Yes = False,
) -> None:
    """List what depends on a model, ask, and delete it with its predictions; the run that it was made from stays."""
    from vise_client.login import connect
    from vise_core.errors import BadInput

    with connect() as vise:
        named = {model.name: model for model in vise.models(search=name)}
        named |= {str(model.id): model for model in vise.models()} if name not in named else {}
        if name not in named:
            raise BadInput(f"no model named {name!r}: see vise models")
        model = named[name]
        confirm(f"Delete the model {model.name}?", vise.model_derived(model.id, limit=NAMED), yes=yes)
        vise.delete_model(model.id)
    say(f"deleted {model.name}")


@models_app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="The published file. With a server on another machine: its path below the server's data root."
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(help="Name of the format, as vise models formats, where the keys do not identify it."),
    ] = None,
    row: Annotated[
        str, typer.Option(help="Name of the row in tables: one of the format's, or your own.")
    ] = "",
    network: Annotated[
        str | None, typer.Option(help="Network to import, where the file holds several (teacher, student).")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="Expected SHA-256 of the file.")] = None,
    local: Annotated[bool, typer.Option("--local", help="Import in this process, without a server.")] = False,
    output: Annotated[Path | None, typer.Option(help="With --local: new folder for the checkpoint.")] = None,
) -> None:
    """Import the backbone of a published file. The format is recognised by its keys; left-out keys are listed.

    Exits with 1 unless the run succeeds.
    """
    from vise_core.specs.import_weights import ImportResult, ImportSpec

    spec = ImportSpec(format=format, row=row, network=network, sha256=sha256)
    if local != (output is not None):
        raise typer.BadParameter("--local and --output FOLDER go together", param_hint="--output")
    if output is not None:
        _show(_add_locally(file, spec.model_dump(), output))
        return
    from vise_client.login import connect
    from vise_client.schemas.launch import RunCreate
    from vise_core.specs.recipes.inputs import InputRef

    with connect() as vise:
        place = below_data_root(file)
        values = spec.model_dump(exclude_none=True) | {"file": place.name}
        dataset = InputRef(dataset=data_set_of(vise, place.parent.as_posix()))
        run = vise.create_run(
            RunCreate(stage="import", name=f"Import {place.name}", spec=values, inputs={"file": dataset})
        )
        run = vise.wait_for(run.id)
    if run.result is None:
        say(f"vise: the run {run.id} has {run.state}: {run.reason}", err=True)
        raise typer.Exit(1)
    _show(ImportResult.model_validate(run.result))
    say(f"checkpoint: the artifact of run {run.id}; evaluate it with --input checkpoint={run.id}:checkpoint")


def _add_locally(file: Path, spec: dict[str, Any], output: Path) -> ImportResult:
    require("core", "vise models add --local")
    from vise_client.local.run import run_locally
    from vise_core.errors import BadInput
    from vise_core.specs.import_weights import ImportResult

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput(f"--output: {output} exists; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk as the target, so that a rename moves it.
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".vise-import-") as work:
        result, artifacts = run_locally("import", spec, {"file": file}, Path(work), console(FORMATS_WIDTH))
        if output.exists():
            output.rmdir()
        artifacts["checkpoint"].rename(output)
    return ImportResult.model_validate(result.model_dump())


def below_data_root(file: Path) -> PurePosixPath:
    """Return the file's path below the server's data root; a server on this machine gets a copy of the file.

    Raises BadInput if there is no such file, if another file of its name is there already, or for an absolute path to a
    server on another machine.
    """
    from vise_client.login import local_data_root
    from vise_core.errors import BadInput

    root = local_data_root()
    if root is None:
        if file.is_absolute():
            raise BadInput(
                f"{file}: the server runs on another machine; give the path below its data root, or use --local"
            )
        return PurePosixPath(file.as_posix())
    if not file.exists() and (root / file).exists():
        file = root / file
    if not file.exists():
        raise BadInput(f"{file}: no such file, in this folder or below the data root {root}")
    if file.resolve().is_relative_to(root.resolve()):
        return PurePosixPath(file.resolve().relative_to(root.resolve()).as_posix())
    target = root / "weights" / file.name
    if target.exists():
        raise BadInput(f"{target} exists: use that path if it is the same file, or rename {file.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (shutil.copytree if file.is_dir() else shutil.copy2)(file, part)
    part.rename(target)
    return PurePosixPath("weights", file.name)


def data_set_of(vise: ViseClient, folder: str) -> Any:
    """Return the id of the data set of a folder below the data root.

    An unknown folder is registered; a changed one is rescanned, if the user is an admin.
    """
    from vise_client.errors import ApiError
    from vise_client.schemas.datasets import DatasetCreate

    for dataset in vise.datasets():
        if dataset.folder is not None and PurePosixPath(dataset.folder) == PurePosixPath(folder):
            if vise.dataset_changes(dataset.id).state == "changed":
                with suppress(ApiError):
                    vise.rescan_dataset(dataset.id)
            return dataset.id
    body = DatasetCreate(
        name=f"weights: {folder}", kind="weights", folder=folder, description="Published weights."
    )
    return vise.register_dataset(body).id


def _show(result: ImportResult) -> None:
    lines = [
        f"{result.file}: {result.title}",
        f"  row: {result.row}; backbone: {result.backbone}, {result.parameters:,} weights",
        f"  trained on: {result.trained_on}",
        f"  licence: {result.licence}",
        f"  SHA-256: {result.sha256} ({'as published' if result.verified else 'not verified'})",
        *(f"  left out: {line}" for line in result.dropped),
        *(f"  note: {line}" for line in result.notes),
    ]
    say("\n".join(lines))
