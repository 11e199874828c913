"""The draft of a run, kept in the page's address, so that a reload, a link or a clone restores the whole form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from frontend.components.input_ref import ref_text
from frontend.session import client, query_id
from frontend.views.launch.spec_schema import merged
from vise_client.schemas.launch import StageView
from vise_client.schemas.runs import RunView

Spec = dict[str, Any]
Grid = dict[str, list[Any]]
"""Dotted path of a spec field → the values that a sweep gives it."""

DRAFT = "launch.draft"
"""Key of the session's draft."""


@dataclass
class Draft:
    """The initial values of the form's widgets.

    ``generation`` is part of the widgets' keys: a new one resets them to these values. Later changes are held by the
    widgets and by the address. ``first_spec``: the spec when the form was first drawn, unless the address had one.
    """

    identity: tuple[str, ...]
    generation: int
    values: Spec = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    grid: Grid = field(default_factory=dict)
    name: str = ""
    max_hours: float | None = None
    first_spec: Spec | None = None


def load_draft(stage: StageView, preset: str) -> Draft:
    """Return the draft of the page's address: its own values, else those of the run to clone, else the preset's."""
    params = st.query_params
    identity = (stage.name, preset, params.get("clone", ""))
    last: Draft | None = st.session_state.get(DRAFT)
    if last is not None and last.identity == identity:
        return last
    draft = Draft(identity, last.generation + 1 if last else 1)
    spec = stage.presets.get(preset, {})
    if (source := clone_source()) is not None and source.stage == stage.name:
        spec, draft.name, draft.max_hours = source.spec, f"{source.name} (copy)", source.max_hours
        draft.inputs = {role: ref_text(ref) for role, ref in source.inputs.items()}
    elif source is not None and source.kind == "sweep" and source.spec.get("stage") == stage.name:
        spec, draft.name = source.spec.get("base", {}), f"{source.name} (copy)"
        draft.max_hours = source.max_hours
        draft.grid = source.spec.get("grid", {})
    draft.values = merged(stage.defaults, _json(params.get("spec"), spec))
    draft.grid = _json(params.get("grid"), draft.grid)
    _read_address(draft)
    st.session_state[DRAFT] = draft
    return draft


def reset_form(stage: StageView, spec: Spec, grid: Grid) -> None:
    """Reset the form's widgets to this spec and grid."""
    draft: Draft = st.session_state[DRAFT]
    draft.generation += 1
    draft.values, draft.grid = merged(stage.defaults, spec), grid
    _read_address(draft)


def reset_address() -> None:
    """Remove the draft from the address and the session; what to run and the preset stay."""
    for key in list(st.query_params):
        if key not in ("what", "preset"):
            del st.query_params[key]
    if (draft := st.session_state.get(DRAFT)) is not None:
        draft.identity = ()


def write_address(
    draft: Draft,
    stage: StageView,
    preset: str,
    spec: Spec,
    grid: Grid,
    name: str,
    inputs: dict[str, str],
) -> None:
    """Write to the address what differs from the draft's first spec."""
    if draft.first_spec is None and "spec" not in st.query_params:
        draft.first_spec = spec
    params = {
        "what": stage.name,
        "preset": preset,
        "clone": st.query_params.get("clone", ""),
        "spec": json.dumps(spec, separators=(",", ":")) if spec != draft.first_spec else "",
        "grid": json.dumps(grid, separators=(",", ":")) if grid else "",
        "name": name,
        **{f"in_{role}": ref for role, ref in inputs.items()},
    }
    params = {key: value for key, value in params.items() if value}
    if dict(st.query_params) != params:
        st.query_params.from_dict(params)


def clone_source() -> RunView | None:
    """Return the run that the address names to clone."""
    run_id = query_id("clone")
    return client().run(run_id) if run_id is not None else None


def _read_address(draft: Draft) -> None:
    params = st.query_params
    draft.name = params.get("name", draft.name)
    draft.inputs |= {key.removeprefix("in_"): params[key] for key in params if key.startswith("in_")}


def _json(text: str | None, default: dict[str, Any]) -> dict[str, Any]:
    """The object that the address holds; the default where the text was truncated or edited to something else."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return default
    return value if isinstance(value, dict) else default
