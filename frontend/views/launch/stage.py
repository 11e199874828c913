"""The launch form of a stage, or of a sweep over it: inputs, settings, YAML, sweep, estimate, launch."""

from __future__ import annotations

import json

import streamlit as st

from frontend.components.input_ref import parse_ref
from frontend.components.run_rows import run_link
from frontend.formatting import plain
from frontend.session import client
from frontend.views.launch.draft import Grid, load_draft, write_address
from frontend.views.launch.estimate import show_check
from frontend.views.launch.inputs import data_set_link
from frontend.views.launch.preset import preset_select
from frontend.views.launch.spec_form import ProblemPlaces, spec_form
from frontend.views.launch.spec_schema import completed, without_defaults
from frontend.views.launch.spec_yaml import yaml_editor
from frontend.views.launch.stage_inputs import stage_inputs
from frontend.views.launch.sweep import sweep_form
from frontend.views.launch.time_limit import time_limit
from vise_client.schemas.launch import LaunchCheck, RunCreate, StageDraft, StageView, SweepCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.sweep import SweepSpec

PROBLEM_PATHS = "launch.problem-paths"
"""Key of the fields that had a problem when the form was last checked: their groups are expanded."""


def launch_stage(stage: StageView) -> None:
    """Draw the form that starts a run or sweep of a stage."""
    schema = stage.spec_schema
    preset = preset_select(stage)
    draft = load_draft(stage, preset)
    key = f"launch.{stage.name}.{draft.generation}"
    places = ProblemPlaces()
    left, right = st.columns([3, 2], gap="large")
    with left:
        selected = stage_inputs(stage, draft, key, places)
        settings_tab, yaml_tab, sweep_tab = st.tabs(["Settings", "YAML", "Sweep"])
        with settings_tab:
            if description := schema.get("description"):
                st.caption(description)
            expanded = st.session_state.get(PROBLEM_PATHS, ())
            values = spec_form(schema, draft.values, key, places, expanded=expanded)
        with sweep_tab:
            grid = sweep_form(schema, draft, values, key, places)
        spec = without_defaults(json.loads(json.dumps(values)), stage.defaults)
        spec = completed(spec, values, schema, schema, list(grid))
        with yaml_tab:
            yaml_editor(stage, spec, grid)
    inputs = {role: ref for role, text in selected.items() if (ref := parse_ref(text)) is not None}
    with right, st.container(border=True):
        name = st.text_input("Name", draft.name, key=f"{key}.name", placeholder=stage.title)
        tags = st.text_input("Tags", key=f"{key}.tags", placeholder="separated by commas")
        max_hours = time_limit(draft.max_hours, f"{key}.hours")
        check = client().validate(stage.name, StageDraft(spec=spec, inputs=inputs, grid=grid))
        st.header("Before you launch", anchor=False)
        show_check(check)
        _input_warnings(check, selected)
        body = RunCreate(
            stage=stage.name,
            name=name,
            spec=spec,
            inputs=inputs,
            tags=[tag.strip() for tag in tags.split(",") if tag.strip()],
            max_hours=max_hours,
        )
        _launch_button(stage, body, grid, check)
    places.show_warnings(check.warnings)
    places.show_problems(check.problems)
    st.session_state[PROBLEM_PATHS] = [problem.field for problem in check.problems]
    write_address(draft, stage, preset, spec, grid, name, selected)


def started(run: RunView) -> None:
    """Draw a message with a link to the run that was launched."""
    st.success("Launched: the run is queued.", icon=":material/check:")
    run_link(run.id, f"Open {plain(run.name)}")


def _input_warnings(check: LaunchCheck, selected: dict[str, str]) -> None:
    """Repeat beside the launch button which inputs have a warning, with a link to the data set's page."""
    for warning in check.warnings:
        role = warning.field.removeprefix("inputs.")
        st.markdown(f":orange-badge[:material/warning: the input {plain(role)} has a warning]")
        data_set_link(selected.get(role, ""))


def _launch_button(stage: StageView, body: RunCreate, grid: Grid, check: LaunchCheck) -> None:
    if not st.button(
        f"Launch {check.runs} runs" if grid else f"Launch {stage.title.lower()}",
        type="primary",
        icon=":material/rocket_launch:",
        disabled=bool(check.problems),
        width="stretch",
        key="launch.go",
    ):
        return
    if grid:
        values = {path: tuple(column) for path, column in grid.items()}
        sweep = SweepSpec(stage=stage.name, base=body.spec, grid=values, inputs=body.inputs)
        given = body.model_dump(include={"name", "tags", "max_hours"})
        started(client().create_sweep(SweepCreate(spec=sweep, **given)))
    else:
        started(client().create_run(body))
