"""One stage, or a sweep over it: form, YAML, inputs, estimate, launch."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import streamlit as st

from frontend.components.input_ref import parse_ref, ref_text
from frontend.components.survey_task import proposed_task
from frontend.session import client
from frontend.views.launch.draft import (
    HELD,
    Draft,
    as_yaml,
    cloned,
    draft_of,
    forget,
    from_yaml,
    renewed,
    write_address,
)
from frontend.views.launch.estimate import show_check
from frontend.views.launch.inputs import choose_input, data_set_link
from frontend.views.launch.spec_form import Places, spec_form
from frontend.views.launch.spec_schema import completed, parsed, scalar_paths, without_defaults, written
from vise_client.schemas.launch import LaunchCheck, RunCreate, StageDraft, StageView, SweepCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.sweep import SweepSpec

YAML_ERROR = "launch.yaml-error"
TROUBLED = "launch.troubled"
"""Paths with a problem at the last look: their groups start unfolded."""


def launch_stage(stage: StageView) -> None:
    """Draw the whole page of a stage."""
    preset = _choose_preset(stage)
    draft = draft_of(stage, preset)
    key = f"launch.{stage.name}.{draft.generation}"
    places = Places()
    left, right = st.columns([3, 2], gap="large")
    with left:
        chosen = _choose_inputs(stage, draft, key, places)
        form, text, sweep = st.tabs(["Settings", "YAML", "Sweep"])
        with form:
            if about := stage.spec_schema.get("description"):
                st.caption(about)
            troubled = st.session_state.get(TROUBLED, ())
            values = spec_form(stage.spec_schema, draft.values, key, places, open_groups=troubled)
        spec = without_defaults(json.loads(json.dumps(values)), stage.defaults)
        with sweep:
            grid = _sweep(stage, draft, values, key, places)
            spec = completed(spec, values, stage.spec_schema, stage.spec_schema, list(grid))
        with text:
            _yaml(stage, spec, grid)
    with right, st.container(border=True):
        name = st.text_input("Name", draft.name, key=f"{key}.name", placeholder=stage.title)
        tags = st.text_input("Tags", key=f"{key}.tags", placeholder="with commas between them")
        inputs = {role: ref for role, text in chosen.items() if (ref := parse_ref(text)) is not None}
        check = client().validate(stage.name, StageDraft(spec=spec, inputs=inputs, grid=grid))
        st.header("Before you launch", anchor=False)
        show_check(check)
        _warn(check, chosen)
        body = RunCreate(
            stage=stage.name,
            name=name,
            spec=spec,
            inputs=inputs,
            tags=[tag.strip() for tag in tags.split(",") if tag.strip()],
        )
        _launch(stage, body, grid, check)
    places.warn(check.warnings)
    places.show(check.problems)
    st.session_state[TROUBLED] = [problem.field for problem in check.problems]
    write_address(draft, stage, preset, spec, grid, name, chosen)


def _warn(check: LaunchCheck, chosen: dict[str, str]) -> None:
    """Where one looks before the launch: which inputs have warnings, with a link to where they are settled."""
    for warning in check.warnings:
        role = warning.field.removeprefix("inputs.")
        st.markdown(f":orange-badge[:material/warning: the input {role} has a warning]")
        data_set_link(chosen.get(role, ""))


def _choose_preset(stage: StageView) -> str:
    """The preset's name, empty for the defaults. A clone has none: it starts from its run."""
    source = cloned()
    if source is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"A copy of **{source.name}**: change what you like, then launch it.")
            if st.button("Start from a preset instead", type="tertiary"):
                forget()
                st.rerun()
        return ""
    names = ["", *stage.presets]
    wanted = st.query_params.get("preset", "")
    return st.selectbox(
        "Preset",
        names,
        index=names.index(wanted) if wanted in names else 0,
        format_func=lambda name: name or "Defaults",
        help="The paper's settings; change what you like below.",
        key=f"launch.preset.{stage.name}",
        on_change=_new_preset,
        args=(stage.name,),
    )


def _new_preset(stage: str) -> None:
    """Inputs and name stay; the spec is the preset's."""
    for left_over in ("spec", "grid"):
        st.query_params.pop(left_over, None)
    chosen = st.session_state[f"launch.preset.{stage}"]
    if chosen:
        st.query_params["preset"] = chosen
    else:
        st.query_params.pop("preset", None)


def _choose_inputs(stage: StageView, draft: Draft, key: str, places: Places) -> dict[str, str]:
    if not stage.inputs:
        return {}
    st.header("Inputs", anchor=False)
    search = st.text_input(
        "Search inputs",
        key=f"launch.search.{stage.name}",
        placeholder="Search by name or tag",
        label_visibility="collapsed",
        icon=":material/search:",
        live=True,
    )
    found = {}
    for role, wanted in stage.inputs.items():
        required = wanted["required"]
        found[role] = choose_input(
            f"Input: {role}" + ("" if required else " (where needed)"),
            [wanted["artifact"], *wanted["also"]],
            search=search,
            chosen=draft.inputs.get(role, ""),
            required=required,
            help=wanted["help"],
            key=f"{key}.in.{role}",
            on_change=_bring_along,
            args=(stage, key, role),
        )
        places.reserve(f"inputs.{role}")
    return found


def _bring_along(stage: StageView, key: str, role: str) -> None:
    """What was chosen was made from something: where another role takes the like, that is chosen with it.

    Labels fit the posts that they were made from, and no others.
    """
    text = st.session_state[f"{key}.in.{role}"]
    ref = parse_ref(text)
    if ref is not None and ref.dataset is not None:
        _read_as_surveyed(stage, role, text, ref.dataset)
    if ref is None or ref.run is None:
        return
    for other, made_from in client().run(ref.run).inputs.items():
        if other in stage.inputs and other != role:
            st.session_state[f"{key}.in.{other}"] = ref_text(made_from)


def _read_as_surveyed(stage: StageView, role: str, text: str, dataset: UUID) -> None:
    """Set the task to what the survey of the chosen data set found; everything else in the form stays."""
    proposed = proposed_task(client().dataset(dataset)) if "task" in stage.defaults else None
    held: Draft = st.session_state[HELD]
    spec = json.loads(st.query_params.get("spec", "null")) or without_defaults(held.values, stage.defaults)
    if proposed is None or (spec.get("task") or {"kind": "folder"}) == proposed:
        return
    kept = spec.get("task", {}) if spec.get("task", {}).get("kind") == proposed["kind"] else {}
    st.query_params[f"in_{role}"] = text
    renewed(stage, spec | {"task": kept | proposed}, held.grid)


def _sweep(
    stage: StageView, draft: Draft, values: dict[str, Any], key: str, places: Places
) -> dict[str, list[Any]]:
    st.caption("Choose fields and give each its values: one run is started for every combination.")
    paths = list(scalar_paths(stage.spec_schema, stage.spec_schema, values))
    known = [path for path in draft.grid if path in paths]
    chosen = st.multiselect("Fields to vary", paths, default=known, key=f"{key}.vary")
    grid = {}
    for path in chosen:
        text = st.text_input(
            path,
            ", ".join(written(value) for value in draft.grid.get(path, [])),
            key=f"{key}.vary.{path}",
            placeholder="values with commas between them",
            live=True,
        )
        grid[path] = [parsed(part) for part in text.split(",") if part.strip()]
        places.reserve(f"grid.{path}")
    places.reserve("grid")
    return grid


def _yaml(stage: StageView, spec: dict[str, Any], grid: dict[str, list[Any]]) -> None:
    st.caption(
        "What differs from the defaults. Change it here and the form follows; "
        f"in a file it is `vise run {stage.name} --spec FILE`."
    )
    text = as_yaml(spec, grid)
    key, shown = f"launch.yaml.{stage.name}", f"launch.yaml.{stage.name}.shown"
    if st.session_state.get(shown) != text or key not in st.session_state:
        # The form has changed the spec. What was typed here and could not be read stays otherwise.
        st.session_state[key] = st.session_state[shown] = text
        st.session_state.pop(YAML_ERROR, None)

    def take() -> None:
        try:
            renewed(stage, *from_yaml(st.session_state[key]))
            st.session_state.pop(YAML_ERROR, None)
        except ValueError as error:
            st.session_state[YAML_ERROR] = str(error)

    st.text_area("Spec as YAML", key=key, height=260, on_change=take)
    if wrong := st.session_state.get(YAML_ERROR):
        st.error(f"The form keeps what it had. {wrong}", icon=":material/error:")


def _launch(stage: StageView, body: RunCreate, grid: dict[str, list[Any]], check: LaunchCheck) -> None:
    label = f"Launch {check.runs} runs" if grid else f"Launch {stage.title.lower()}"
    if st.button(
        label,
        type="primary",
        icon=":material/rocket_launch:",
        disabled=bool(check.problems),
        width="stretch",
        key="launch.go",
    ):
        if grid:
            values = {path: tuple(found) for path, found in grid.items()}
            sweep = SweepSpec(stage=stage.name, base=body.spec, grid=values, inputs=body.inputs)
            made = client().create_sweep(SweepCreate(spec=sweep, name=body.name, tags=body.tags))
        else:
            made = client().create_run(body)
        say_started(made)


def say_started(made: RunView) -> None:
    """Where to follow what was launched."""
    st.success("It is in line.", icon=":material/check:")
    st.page_link(
        "views/run/page.py",
        label=f"Follow it: {made.name}",
        icon=":material/monitoring:",
        query_params={"run": str(made.id)},
    )
