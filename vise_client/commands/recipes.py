"""``vise recipes``: list the built-in recipes, and print them as files to change. Needs no server."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import command_group
from .output import say

recipes_app = command_group(
    help="Recipes: chains of runs, to start with vise run NAME, or to copy and change.", no_args_is_help=True
)


@recipes_app.command("list")
def list_recipes() -> None:
    """List the built-in recipes, with the inputs of each."""
    from vise_core.specs.recipes.registry import RECIPES

    for name, recipe in RECIPES.items():
        say(f"{name}: {recipe.title}")
        for role, recipe_input in recipe.given.items():
            optional = "" if recipe_input.required else " (optional)"
            say(f"    --input {role}=…  {recipe_input.help}{optional}")


@recipes_app.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="Name of a recipe, as vise recipes list.")]) -> None:
    """Print a recipe as YAML. Save it, change it, and start it with: vise run FILE.yaml."""
    from vise_core.errors import BadInput
    from vise_core.specs.recipes.registry import RECIPES

    from .run_files import recipe_yaml

    if name not in RECIPES:
        raise BadInput(f"unknown recipe {name!r}; one of {', '.join(RECIPES)}")
    say(recipe_yaml(RECIPES[name]).rstrip())
