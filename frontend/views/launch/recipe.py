"""A whole chain of runs: which steps, from which inputs."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml
from pydantic import ValidationError

from frontend.components.input_ref import parse_ref, ref_text
from frontend.formatting import duration
from frontend.session import client
from frontend.views.launch.draft import cloned
from frontend.views.launch.estimate import ask_for
from frontend.views.launch.inputs import changed_folder, choose_input
from frontend.views.launch.stage import say_started
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.recipe import RecipeSpec, given_artifacts, possible_steps


def launch_recipe() -> None:
    """Draw the whole page of recipes."""
    recipes = {recipe.name: recipe.spec for recipe in client().recipes()}
    source = cloned()
    if source is not None and source.kind == "recipe":
        spec: RecipeSpec | None = RecipeSpec.model_validate(source.spec)
        name = next((known for known, one in recipes.items() if one == spec), "")
        st.markdown(f"A copy of **{source.name}**.")
    else:
        source = None
        name = _choose(recipes)
        spec = recipes[name]
    left, right = st.columns([3, 2], gap="large")
    with left:
        if spec is not None and spec.description:
            st.write(spec.description)
        about, text = st.tabs(["Steps", "YAML"])
        with text:
            spec = _yaml(name, spec) or spec
        assert spec is not None
        with about:
            chosen = _inputs(spec, source, name)
            _steps(spec, chosen)
    with right, st.container(border=True):
        title = st.text_input("Name", placeholder=spec.title, key=f"recipe.name.{name}")
        st.header("Before you launch", anchor=False)
        missing = [role for role, wanted in spec.given.items() if wanted.required and role not in chosen]
        ask_for(missing)
        _last_time(spec)
        if st.button(
            "Launch the recipe",
            type="primary",
            icon=":material/rocket_launch:",
            disabled=bool(missing),
            width="stretch",
        ):
            inputs = {role: ref for role, text in chosen.items() if (ref := parse_ref(text)) is not None}
            as_shipped = name in recipes and spec == recipes[name]
            whole = {"recipe": name} if as_shipped else {"spec": spec}
            body = RecipeCreate.model_validate({**whole, "inputs": inputs, "name": title})
            say_started(client().create_recipe(body))


def _choose(recipes: dict[str, RecipeSpec]) -> str:
    names = list(recipes)
    wanted = st.query_params.get("recipe", names[0])
    name = st.selectbox(
        "Recipe",
        names,
        index=names.index(wanted) if wanted in names else 0,
        format_func=lambda one: f"{recipes[one].title}" + (" (synthetic)" if recipes[one].synthetic else ""),
        key="launch.recipe",
    )
    if name != st.query_params.get("recipe"):
        kept = {"what": "recipe", "recipe": name}
        st.query_params.from_dict(kept)
    return name


def _inputs(spec: RecipeSpec, source: RunView | None, name: str) -> dict[str, str]:
    """{given input: reference as text} of those that are chosen."""
    chosen = {}
    for role, wanted in spec.given.items():
        started = ref_text(source.inputs[role]) if source and role in source.inputs else ""
        picked = choose_input(
            f"Input: {role}" + ("" if wanted.required else " (without it, its steps are left out)"),
            given_artifacts(spec, role),
            search="",
            chosen=st.query_params.get(f"in_{role}", started),
            required=wanted.required,
            help=wanted.help,
            key=f"recipe.{name}.{role}",
        )
        changed_folder(picked)
        if picked:
            chosen[role] = st.query_params[f"in_{role}"] = picked
        else:
            st.query_params.pop(f"in_{role}", None)
    return chosen


def _steps(spec: RecipeSpec, chosen: dict[str, str]) -> None:
    try:
        kept = possible_steps(spec, chosen)
    except ValueError:
        kept = {}  # a required input is still to be chosen; the panel beside says which
    rows = [
        {
            "step": step.title or name,
            "stage": step.stage,
            "reads": ", ".join(ref.step or ref.given or "" for ref in step.inputs.values()),
            "runs": name in kept,
        }
        for name, step in spec.steps.items()
    ]
    st.caption(f"{len(kept)} of {len(rows)} steps run with these inputs.")
    st.dataframe(rows, hide_index=True, height=min(36 * (len(rows) + 1), 460))


def _yaml(name: str, spec: RecipeSpec | None) -> RecipeSpec | None:
    """The recipe as text; what is written there is what runs. None where it cannot be read."""
    st.caption("The whole recipe. Change it here and what you write is launched in place of the recipe.")
    plain: dict[str, Any] = spec.model_dump(mode="json", exclude_none=True) if spec else {}
    text = st.text_area(
        "Recipe as YAML",
        yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100),
        height=420,
        key=f"recipe.yaml.{name}",
    )
    try:
        return RecipeSpec.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        for one in error.errors()[:5]:
            path = ".".join(str(part) for part in one["loc"])
            st.error(f"**{path}** {str(one['msg']).removeprefix('Value error, ')}")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        st.error(f"line {mark.line + 1}: {getattr(error, 'problem', error)}" if mark else str(error))
    return None


def _last_time(spec: RecipeSpec) -> None:
    """How long it took before; nothing is guessed."""
    before = client().runs(kind="recipe", state=["succeeded"], search=spec.title[:200], limit=5).items
    for run in before:
        if run.name == spec.title and run.started_at and run.finished_at:
            took = duration((run.finished_at - run.started_at).total_seconds())
            st.markdown(f"**Time** {took} the last time it ran here")
            st.page_link("views/run/page.py", label="That run", query_params={"run": str(run.id)})
            return
    st.markdown("**Time** unknown: it has not run here yet")
