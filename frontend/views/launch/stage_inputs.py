"""The inputs of a stage. Selecting one fills related fields: other inputs, and the task of a data set."""

from __future__ import annotations

import json
from uuid import UUID

import streamlit as st

from frontend.components.input_ref import parse_ref, ref_text
from frontend.components.survey_task import proposed_task
from frontend.session import client
from frontend.views.launch.draft import DRAFT, Draft, reset_form
from frontend.views.launch.inputs import input_select
from frontend.views.launch.spec_form import ProblemPlaces
from frontend.views.launch.spec_schema import without_defaults
from vise_client.schemas.launch import StageView


def stage_inputs(stage: StageView, draft: Draft, key: str, places: ProblemPlaces) -> dict[str, str]:
    """Draw a selection for each input and return {role: selected reference as text, empty for none}."""
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
    selected = {}
    for role, input in stage.inputs.items():
        selected[role] = input_select(
            f"Input: {role}" + ("" if input["required"] else " (if needed)"),
            [input["artifact"], *input["also"]],
            search=search,
            initial=draft.inputs.get(role, ""),
            required=input["required"],
            help=input["help"],
            key=f"{key}.in.{role}",
            on_change=_fill_related,
            args=(stage, key, role),
        )
        places.reserve(f"inputs.{role}")
    return selected


def _fill_related(stage: StageView, key: str, role: str) -> None:
    """Select the inputs that the new input was made from, too: labels fit only the posts that they were made of."""
    text = st.session_state[f"{key}.in.{role}"]
    ref = parse_ref(text)
    if ref is not None and ref.dataset is not None:
        _fill_task(stage, role, text, ref.dataset)
    if ref is None or ref.run is None:
        return
    for other, source in client().run(ref.run).inputs.items():
        if other in stage.inputs and other != role:
            st.session_state[f"{key}.in.{other}"] = ref_text(source)


def _fill_task(stage: StageView, role: str, text: str, data_set_id: UUID) -> None:
    """Set the task to the proposal of the data set's survey; other fields of the form stay."""
    proposed = proposed_task(client().dataset(data_set_id)) if "task" in stage.defaults else None
    draft: Draft = st.session_state[DRAFT]
    spec = json.loads(st.query_params.get("spec", "null")) or without_defaults(draft.values, stage.defaults)
    if proposed is None or (spec.get("task") or {"kind": "folder"}) == proposed:
        return
    kept = spec.get("task", {}) if spec.get("task", {}).get("kind") == proposed["kind"] else {}
    st.query_params[f"in_{role}"] = text
    reset_form(stage, spec | {"task": kept | proposed}, draft.grid)
