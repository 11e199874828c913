"""``vise models``: the models that answer, and weights that others published."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vise_client.client import ViseClient
    from vise_core.specs.import_weights import ImportResult

models_app = typer.Typer(
    help="The models that answer predictions; and weights that others published, to take in.",
    invoke_without_command=True,
)

# The wire format has no kind for weights; no stage looks at the kind of a data set that it is given.
KIND = "weights"


@models_app.callback()
def list_models(context: typer.Context) -> None:
    """Without a command: the models that answer predictions."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from vise_client.login import connect

    table = Table("id", "name", "method", "task", "results", "default", "data", box=None)
    with connect() as vise:
        for model in vise.models():
            table.add_row(
                str(model.id),
                model.name,
                model.method,
                model.task,
                ", ".join(f"{key} {value:.4g}" for key, value in model.headline.items()),
                "yes" if model.default else "",
                "synthetic" if model.synthetic else "",
            )
    _console().print(table)


@models_app.command("formats")
def list_formats() -> None:
    """The formats of published weights that can be added."""
    from rich.table import Table

    from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS

    table = Table("name", "format", "row", "files", "licence", box=None)
    for name, layout in CHECKPOINT_FORMATS.items():
        files = "\n".join(known.name for known in layout.files)
        table.add_row(name, layout.title, "\n".join(layout.rows) or "--row", files, layout.licence)
    _console().print(table)


@models_app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="The published file. With a server elsewhere: its path below the server's data root."
        ),
    ],
    format: Annotated[
        str | None, typer.Option(help="A name of vise models formats, where the keys do not tell it.")
    ] = None,
    row: Annotated[
        str, typer.Option(help="Name of the row in tables: one of the format's, or your own.")
    ] = "",
    network: Annotated[
        str | None, typer.Option(help="Which network, where the file holds several (teacher, student).")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What the file must hash to.")] = None,
    local: Annotated[bool, typer.Option("--local", help="In this process, with no server.")] = False,
    output: Annotated[Path | None, typer.Option(help="With --local: folder of the checkpoint made.")] = None,
) -> None:
    """Recognise a published file by its keys and take its backbone in, every key accounted for."""
    from vise_core.specs.import_weights import ImportResult, ImportSpec

    spec = ImportSpec(format=format, row=row, network=network, sha256=sha256)
    if local != (output is not None):
        raise typer.BadParameter("--local and --output FOLDER go together", param_hint="--output")
    if output is not None:
        _say(_add_locally(file, spec.model_dump(), output))
        return
    from vise_client.login import connect
    from vise_client.schemas.launch import RunCreate
    from vise_core.specs.recipes.inputs import InputRef

    with connect() as vise:
        place = below_data_root(file)
        values = spec.model_dump(exclude_none=True) | {"file": place.name}
        dataset = InputRef(dataset=data_set_of(vise, place.parent.as_posix()))
        made = vise.create_run(
            RunCreate(stage="import", name=f"Import {place.name}", spec=values, inputs={"file": dataset})
        )
        done = vise.wait_for(made.id)
    if done.result is None:
        typer.echo(f"vise: the run {done.id} has {done.state}: {done.reason}", err=True)
        raise typer.Exit(1)
    _say(ImportResult.model_validate(done.result))
    typer.echo(
        f"checkpoint: the artifact of run {done.id}; evaluate it with --input checkpoint={done.id}:checkpoint"
    )


def _add_locally(file: Path, spec: dict[str, Any], output: Path) -> ImportResult:
    from vise_client.local.run import run_locally
    from vise_core.errors import BadInput
    from vise_core.specs.import_weights import ImportResult

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput(f"--output: {output} is there already; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Beside its target, so that it is moved whole.
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".vise-import-") as work:
        result, artifacts = run_locally("import", spec, {"file": file}, Path(work), _console())
        if output.exists():
            output.rmdir()
        artifacts["checkpoint"].rename(output)
    return ImportResult.model_validate(result.model_dump())


def below_data_root(file: Path) -> PurePosixPath:
    """Where the file lies below the server's data root; with a server on this machine it is copied there.

    Raises BadInput.
    """
    from vise_core.errors import BadInput

    root = local_data_root()
    if root is None:
        if file.is_absolute():
            raise BadInput(
                f"{file}: the server is elsewhere; give the path below its data root, or use --local"
            )
        return PurePosixPath(file.as_posix())
    if not file.exists() and (root / file).exists():
        file = root / file
    if not file.exists():
        raise BadInput(f"{file}: there is no such file, here or below the data root {root}")
    if file.resolve().is_relative_to(root.resolve()):
        return PurePosixPath(file.resolve().relative_to(root.resolve()).as_posix())
    target = root / "weights" / file.name
    if target.exists():
        raise BadInput(f"{target} is there already: give that path if it is the same, or rename {file.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (shutil.copytree if file.is_dir() else shutil.copy2)(file, part)
    part.rename(target)
    return PurePosixPath("weights", file.name)


def local_data_root() -> Path | None:
    """The data root of the server, where that is on this machine."""
    from vise_client.login import LOCAL, home

    if "VISE_DATA_ROOT" in os.environ:
        return Path(os.environ["VISE_DATA_ROOT"])
    return home() / "data" if "VISE_TOKEN" not in os.environ and (home() / LOCAL).exists() else None


def data_set_of(vise: ViseClient, folder: str) -> Any:
    """Id of the data set of a folder below the data root; registered, or rescanned where another file has come into
    the folder, if the user is an admin."""
    from vise_client.errors import ApiError
    from vise_client.schemas.datasets import DatasetCreate

    for dataset in vise.datasets():
        if dataset.folder is not None and PurePosixPath(dataset.folder) == PurePosixPath(folder):
            if vise.dataset_changes(dataset.id).state == "changed":
                with suppress(ApiError):
                    vise.rescan_dataset(dataset.id)
            return dataset.id
    body = DatasetCreate(
        name=f"weights: {folder}", kind=KIND, folder=folder, description="Published weights."
    )
    return vise.register_dataset(body).id


def _say(result: ImportResult) -> None:
    lines = [
        f"{result.file}: {result.title}",
        f"  row: {result.row}; backbone: {result.backbone}, {result.parameters:,} weights",
        f"  trained on: {result.trained_on}",
        f"  licence: {result.licence}",
        f"  SHA-256: {result.sha256} ({'as published' if result.verified else 'not verified'})",
        *(f"  left out: {line}" for line in result.dropped),
        *(f"  note: {line}" for line in result.notes),
    ]
    typer.echo("\n".join(lines))


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 280)
