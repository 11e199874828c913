"""``vise run``: start a stage, a recipe or a sweep, on a server or in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .data import find, warn_of_changes
from .extras import require
from .output import console, numbers, say

if TYPE_CHECKING:
    from vise_client.client import ViseClient
    from vise_client.schemas.launch import RecipeCreate, RunCreate, SweepCreate
    from vise_client.schemas.runs import RunView
    from vise_core.specs.recipes.inputs import InputRef


def run(
    name: Annotated[
        str,
        typer.Argument(
            help="A stage (ingest, cluster, …), a recipe (sample), or a YAML file of a recipe, a sweep or one run."
        ),
    ],
    spec: Annotated[
        Path | None, typer.Option(help="YAML or JSON file of the stage's spec. Without: its defaults.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the spec: a.b=value. Repeatable.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="An input: role=RUN, role=RUN:artifact, role=dataset:ID or role=dataset:NAME; with --local "
            "role=PATH. Repeatable.",
        ),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Run in this process, without a server.")] = False,
    out: Annotated[Path, typer.Option(help="With --local: the folder to write to.")] = Path("vise-out"),
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="With --local: remove the run in the out folder, and start over."),
    ] = False,
    title: Annotated[str, typer.Option("--name", help="Name of the run.")] = "",
    max_hours: Annotated[
        float | None,
        typer.Option(help="Stop a run whose attempt takes longer. Without: the server's limit."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait until the run is over. Exits with 1 unless it succeeded.")
    ] = False,
) -> None:
    """Run a stage, a recipe or a sweep."""
    from .run_files import read_request

    request = read_request(name, spec, changes or [])
    if local:
        if max_hours is not None:
            raise typer.BadParameter("only runs on a server have a time limit", param_hint="--max-hours")
        _run_locally(request, dict(_pair(item) for item in inputs or []), out, fresh=fresh)
        return
    if fresh:
        raise typer.BadParameter("only a local run has a folder to start over in", param_hint="--fresh")
    from vise_client.login import connect

    from .run_files import parse_inputs

    with connect() as vise:
        references = parse_inputs(inputs or [], lambda dataset: find(vise, dataset).id)
        warn_of_changes(vise, references)
        if max_hours is not None:
            request = request.model_copy(update={"max_hours": max_hours})
        created = _create(vise, request, references, title)
        say(f"{created.id}  {created.name}  {created.state}")
        if follow:
            last = vise.wait_for(created.id, on_update=_Follower())
            say(f"{last.state}  {last.reason or ''}  {numbers(last.headline)}")
            raise typer.Exit(0 if last.state == "succeeded" else 1)


def _create(
    vise: ViseClient,
    request: RunCreate | RecipeCreate | SweepCreate,
    inputs: dict[str, InputRef],
    name: str,
) -> RunView:
    from vise_client.schemas.launch import RecipeCreate, RunCreate

    if isinstance(request, RecipeCreate):
        return vise.create_recipe(request.model_copy(update={"name": name, "inputs": inputs}))
    if isinstance(request, RunCreate):
        changed = {"name": name or request.name, "inputs": request.inputs | inputs}
        return vise.create_run(request.model_copy(update=changed))
    sweep = request.spec.model_copy(update={"inputs": request.spec.inputs | inputs})
    return vise.create_sweep(request.model_copy(update={"name": name, "spec": sweep}))


def _run_locally(
    request: RunCreate | RecipeCreate | SweepCreate, inputs: dict[str, str], out: Path, *, fresh: bool
) -> None:
    require("core", "vise run --local")
    from vise_client.local.run import run_locally, run_recipe_locally
    from vise_client.schemas.launch import RecipeCreate, RunCreate
    from vise_core.errors import BadInput
    from vise_core.specs.recipes.registry import RECIPES

    from .run_files import local_inputs

    paths = local_inputs(inputs)
    if isinstance(request, RecipeCreate):
        run_recipe_locally(request.spec or RECIPES[str(request.recipe)], paths, out, console(), fresh=fresh)
        return
    if not isinstance(request, RunCreate):
        raise BadInput("a sweep needs a server: start one with vise up, and leave out --local")
    result, artifacts = run_locally(request.stage, request.spec, paths, out, console(), fresh=fresh)
    for artifact, path in artifacts.items():
        say(f"{artifact}: {path}")
    say(numbers(result.headline()))


def _pair(item: str) -> tuple[str, str]:
    role, separator, value = item.partition("=")
    if not separator:
        raise typer.BadParameter(f"{item!r}: write role=value", param_hint="--input")
    return role, value


class _Follower:
    """Prints the state of a run, or of its children, each time it changes."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def __call__(self, run: RunView) -> None:
        for item in run.children or [run]:
            line = f"{item.name}: {item.state}" + (f" ({item.reason})" if item.reason else "")
            if self._printed.get(str(item.id)) != line:
                self._printed[str(item.id)] = line
                say(f"{line} {numbers(item.headline)}")
