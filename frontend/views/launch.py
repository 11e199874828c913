"""Launch: forms made from the specs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st
import yaml

from frontend.components.spec_form import default_of, spec_form, without_defaults
from frontend.session import client, errors_as_sentences, may_edit, stages
from vise_client.schemas import RecipeCreate, RunCreate, StageView
from vise_core.specs.recipes import InputRef
from vise_core.specs.tasks import TASKS


def candidates(artifact: str, also: Sequence[str] = ()) -> dict[str, InputRef]:
    """What fits an input: artifacts of succeeded runs, then data sets."""
    found: dict[str, InputRef] = {}
    for maker, stage in stages().items():
        fitting = [name for name in (artifact, *also) if name in stage.outputs]
        if not fitting:
            continue
        for run in client().runs(stage=maker, state=["succeeded"], all=True, limit=50).items:
            for name in fitting:
                which = f" {name}" if len(fitting) > 1 else ""
                label = f"{run.name}{which}, {run.created_at:%m-%d %H:%M} ({str(run.id)[-4:]})"
                found[label] = InputRef(run=run.id, artifact=name)
    kinds = {"evaluation_set": "images", "source": "posts", "posts": "posts", "weights": "weights"}
    for dataset in client().datasets():
        if dataset.kind == kinds.get(artifact):
            found[f"data set {dataset.name}"] = InputRef(dataset=dataset.id)
    return found


def launch_stage(stage: StageView) -> None:
    schema = stage.spec_schema
    presets: dict[str, dict[str, Any]] = {"Defaults": {}, **stage.presets}
    preset = st.selectbox("Preset", list(presets), help="The paper's settings; change what you like below.")
    name = st.text_input("Name", placeholder=stage.title)
    inputs: dict[str, InputRef] = {}
    for role, wanted in stage.inputs.items():
        options = candidates(wanted["artifact"], wanted["also"])
        choice = st.selectbox(
            f"Input: {role}" + ("" if wanted["required"] else " (where needed)"),
            ["none", *options],
            index=1 if wanted["required"] and options else 0,
            help=wanted["help"],
        )
        if choice != "none":
            inputs[role] = options[choice]
    st.subheader("Settings")
    if schema.get("description"):
        st.caption(schema["description"])
    defaults = {n: default_of(f, schema) for n, f in schema["properties"].items()}
    spec = spec_form(schema, defaults | presets[preset], f"{stage.name}.{preset}")
    spec = without_defaults(json.loads(json.dumps(spec)), defaults)
    with st.expander("As YAML: what differs from the defaults"):
        st.code(
            yaml.safe_dump(spec, sort_keys=False, allow_unicode=True) if spec else "# all defaults",
            language="yaml",
        )
    if st.button(f"Launch {stage.title.lower()}", type="primary", icon=":material/rocket_launch:"):
        with errors_as_sentences():
            made = client().create_run(RunCreate(stage=stage.name, name=name, spec=spec, inputs=inputs))
            st.success("It is in line.")
            st.page_link("views/run.py", label=f"Follow it: {made.name}", query_params={"run": str(made.id)})


def launch_recipe() -> None:
    recipes = {r.name: r.spec for r in client().recipes()}
    chosen = st.selectbox("Recipe", list(recipes), format_func=lambda n: recipes[n].title)
    st.write(recipes[chosen].description)
    steps = [{"step": n, "stage": s.stage, "what": s.title} for n, s in recipes[chosen].steps.items()]
    st.dataframe(steps, hide_index=True)
    inputs: dict[str, InputRef] = {}
    for role, wanted in recipes[chosen].given.items():
        options = candidates(wanted.artifact, tuple(TASKS) if wanted.artifact == "evaluation_set" else ())
        choice = st.selectbox(
            f"Input: {role}" + ("" if wanted.required else " (without it, its steps are left out)"),
            ["none", *options],
            help=wanted.help,
        )
        if choice != "none":
            inputs[role] = options[choice]
    if st.button("Launch the recipe", type="primary", icon=":material/rocket_launch:"):
        made = client().create_recipe(RecipeCreate(recipe=chosen, inputs=inputs))
        st.success("It is in line.")
        st.page_link("views/run.py", label=f"Follow it: {made.name}", query_params={"run": str(made.id)})


st.title("Launch")
with errors_as_sentences():
    if not may_edit(st.session_state["user"]):
        st.info("Your role only reads. Ask an editor to start a run.")
        st.stop()
    labels = {"recipe": "Recipe", **{name: stage.title for name, stage in stages().items()}}
    wanted = st.query_params.get("what", "recipe")
    names = list(labels)
    what = st.segmented_control(
        "What to run", names, default=wanted if wanted in labels else "recipe", format_func=labels.__getitem__
    )
    st.query_params["what"] = what or "recipe"
    if what in (None, "recipe"):
        launch_recipe()
    else:
        st.caption(stages()[what].help)
        launch_stage(stages()[what])
