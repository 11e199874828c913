"""The launch form of a recipe: its steps, its inputs, its YAML, and the launch."""

from __future__ import annotations

import streamlit as st
import yaml
from pydantic import ValidationError

from frontend.components.input_ref import parse_ref, ref_text
from frontend.components.run_rows import run_link
from frontend.components.table import show_rows
from frontend.formatting import duration, plain
from frontend.session import client
from frontend.views.launch.draft import clone_source
from frontend.views.launch.estimate import ask_for
from frontend.views.launch.inputs import folder_warning, input_select
from frontend.views.launch.spec_yaml import read_yaml
from frontend.views.launch.stage import started
from frontend.views.launch.time_limit import time_limit
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.recipe import RecipeSpec, possible_steps, recipe_input_artifacts


def launch_recipe() -> None:
    """Draw the form that starts a recipe."""
    recipes = {recipe.name: recipe.spec for recipe in client().recipes()}
    source = clone_source()
    if source is not None and source.kind == "recipe":
        spec = RecipeSpec.model_validate(source.spec)
        name = next((name for name, recipe in recipes.items() if recipe == spec), "")
        st.markdown(f"A copy of **{plain(source.name)}**. Change it below, then launch it.")
    else:
        source = None
        name = _recipe_select(recipes)
        spec = recipes[name]
    left, right = st.columns([3, 2], gap="large")
    with left:
        if spec.description:
            st.write(plain(spec.description))
        steps_tab, yaml_tab = st.tabs(["Steps", "YAML"])
        with yaml_tab:
            spec = _yaml_editor(name, spec)
        with steps_tab:
            selected = _inputs(spec, source, name)
            _steps(spec, selected)
    with right, st.container(border=True):
        title = st.text_input("Name", placeholder=spec.title, key=f"recipe.name.{name}")
        max_hours = time_limit(source.max_hours if source else None, f"recipe.hours.{name}")
        st.header("Before you launch", anchor=False)
        missing = [role for role, given in spec.given.items() if given.required and role not in selected]
        ask_for(missing)
        _last_time(spec)
        if st.button(
            "Launch recipe",
            type="primary",
            icon=":material/rocket_launch:",
            disabled=bool(missing),
            width="stretch",
        ):
            inputs = {role: ref for role, text in selected.items() if (ref := parse_ref(text)) is not None}
            recipe = {"recipe": name} if recipes.get(name) == spec else {"spec": spec}
            body = RecipeCreate.model_validate(
                {**recipe, "inputs": inputs, "name": title, "max_hours": max_hours}
            )
            started(client().create_recipe(body))


def _recipe_select(recipes: dict[str, RecipeSpec]) -> str:
    names = list(recipes)
    linked = st.query_params.get("recipe", names[0])
    name = st.selectbox(
        "Recipe",
        names,
        index=names.index(linked) if linked in names else 0,
        format_func=lambda name: recipes[name].title + (" (synthetic)" if recipes[name].synthetic else ""),
        key="launch.recipe",
    )
    if name != st.query_params.get("recipe"):
        st.query_params.from_dict({"what": "recipe", "recipe": name})
    return name


def _inputs(spec: RecipeSpec, source: RunView | None, name: str) -> dict[str, str]:
    """{role: reference as text} of the selected inputs; at first those of the run to clone."""
    selected = {}
    for role, given in spec.given.items():
        cloned = ref_text(source.inputs[role]) if source and role in source.inputs else ""
        text = input_select(
            f"Input: {plain(role)}"
            + ("" if given.required else " (optional: without it, its steps are left out)"),
            recipe_input_artifacts(spec, role),
            search="",
            initial=st.query_params.get(f"in_{role}", cloned),
            required=given.required,
            help=plain(given.help),
            key=f"recipe.{name}.{role}",
        )
        folder_warning(text)
        if text:
            selected[role] = st.query_params[f"in_{role}"] = text
        else:
            st.query_params.pop(f"in_{role}", None)
    return selected


def _steps(spec: RecipeSpec, selected: dict[str, str]) -> None:
    """A table of the steps, and which of them these inputs permit."""
    try:
        possible = possible_steps(spec, selected)
    except ValueError:
        possible = {}  # A required input is missing, which the panel beside names.
    rows = [
        {
            "step": step.title or name,
            "stage": step.stage,
            "reads": ", ".join(ref.step or ref.given or "" for ref in step.inputs.values()),
            "runs": name in possible,
        }
        for name, step in spec.steps.items()
    ]
    st.caption(f"{len(possible)} of {len(rows)} steps run with these inputs.")
    show_rows(rows, hide_index=True, height=min(36 * (len(rows) + 1), 460))


def _yaml_editor(name: str, spec: RecipeSpec) -> RecipeSpec:
    """The recipe as text; returns the edited recipe, or the given one where the text has an error."""
    st.caption("The complete recipe. Changes here apply to the launch.")
    content = spec.model_dump(mode="json", exclude_none=True)
    text = st.text_area(
        "Recipe as YAML",
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100),
        height=420,
        key=f"recipe.yaml.{name}",
    )
    try:
        return RecipeSpec.model_validate(read_yaml(text))
    except ValidationError as error:
        for detail in error.errors()[:5]:
            path = ".".join(str(part) for part in detail["loc"])
            st.error(f"**{plain(path)}** {plain(str(detail['msg']).removeprefix('Value error, '))}")
    except ValueError as error:
        st.error(plain(str(error)))
    return spec


def _last_time(spec: RecipeSpec) -> None:
    """The duration of the last run of this recipe; recipes have no other estimate."""
    runs = client().runs(kind="recipe", state=["succeeded"], search=spec.title[:200], limit=5).items
    for run in runs:
        if run.name == spec.title and run.started_at and run.finished_at:
            took = duration((run.finished_at - run.started_at).total_seconds())
            st.markdown(f"**Time** {took} in the last run")
            run_link(run.id, "Last run")
            return
    st.markdown("**Time** unknown: the recipe has not been run yet")
