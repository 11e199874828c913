"""``vise recipes``: the recipes that ship, as files to copy and change. Needs no server."""

from __future__ import annotations

from typing import Annotated

import typer

recipes_app = typer.Typer(
    help="Whole chains of runs, ready to start or to copy and change.", no_args_is_help=True
)


@recipes_app.command("list")
def list_recipes() -> None:
    """The recipes by name, and what each has to be given."""
    from vise_core.specs.recipes.registry import RECIPES

    for name, recipe in RECIPES.items():
        typer.echo(f"{name}: {recipe.title}")
        for given, wanted in recipe.given.items():
            typer.echo(f"    --input {given}=…  {wanted.help}{'' if wanted.required else ' (optional)'}")


@recipes_app.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="As in: vise recipes list.")]) -> None:
    """A recipe as YAML. Save it, change it, and start it with: vise run FILE.yaml."""
    from vise_core.errors import BadInput
    from vise_core.specs.recipes.registry import RECIPES

    from .run_files import recipe_yaml

    if name not in RECIPES:
        raise BadInput(f"unknown recipe {name!r}; one of {', '.join(RECIPES)}")
    typer.echo(recipe_yaml(RECIPES[name]), nl=False)
