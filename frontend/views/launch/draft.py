"""What the launch page holds, in the page's address: a reload, a link or a clone brings it back whole."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
import yaml

from frontend.components.input_ref import ref_text
from frontend.session import client, query_id
from frontend.views.launch.spec_schema import merged
from vise_client.schemas.launch import StageView
from vise_client.schemas.runs import RunView

HELD = "launch.draft"


@dataclass
class Draft:
    """What the widgets of a run's form start with. ``generation`` is in their keys: a new one lets them start anew.

    What they hold since then is theirs, and in the address: a start that moved along would take it from them.
    """

    identity: tuple[str, ...]
    generation: int
    values: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    name: str = ""
    origin: dict[str, Any] | None = None
    """The spec that the form held when it was first drawn, unless that came from the address."""


def draft_of(stage: StageView, preset: str) -> Draft:
    """The draft of the page's address: what is written there, else the clone's, else the preset's."""
    address = st.query_params
    identity = (stage.name, preset, address.get("clone", ""))
    held: Draft | None = st.session_state.get(HELD)
    if held is not None and held.identity == identity:
        return held
    draft = Draft(identity, held.generation + 1 if held else 1)
    start = stage.presets.get(preset, {})
    if (source := cloned()) is not None and source.stage == stage.name:
        start, draft.name = source.spec, f"{source.name} (copy)"
        draft.inputs = {role: ref_text(ref) for role, ref in source.inputs.items()}
    elif source is not None and source.kind == "sweep" and source.spec.get("stage") == stage.name:
        start, draft.name = source.spec.get("base", {}), f"{source.name} (copy)"
        draft.grid = source.spec.get("grid", {})
    draft.values = merged(stage.defaults, _json(address.get("spec"), start))
    draft.grid = _json(address.get("grid"), draft.grid)
    _take_from_address(draft)
    st.session_state[HELD] = draft
    return draft


def renewed(stage: StageView, spec: dict[str, Any], grid: dict[str, list[Any]]) -> None:
    """Let the form show this spec: its widgets start anew."""
    held: Draft = st.session_state[HELD]
    held.generation += 1
    held.values, held.grid = merged(stage.defaults, spec), grid
    _take_from_address(held)


def _take_from_address(draft: Draft) -> None:
    address = st.query_params
    draft.name = address.get("name", draft.name)
    draft.inputs |= {key.removeprefix("in_"): address[key] for key in address if key.startswith("in_")}


def forget() -> None:
    """Leave the address with nothing but what is to run."""
    for key in list(st.query_params):
        if key not in ("what", "preset"):
            del st.query_params[key]
    held: Draft | None = st.session_state.get(HELD)
    if held is not None:
        held.identity = ()


def write_address(
    draft: Draft,
    stage: StageView,
    preset: str,
    spec: dict[str, Any],
    grid: dict[str, list[Any]],
    name: str,
    inputs: dict[str, str],
) -> None:
    """Put into the address what differs from where the draft started."""
    if draft.origin is None and "spec" not in st.query_params:
        draft.origin = spec
    wanted: dict[str, str] = {"what": stage.name}
    if preset:
        wanted["preset"] = preset
    if "clone" in st.query_params:
        wanted["clone"] = st.query_params["clone"]
    if spec != draft.origin:
        wanted["spec"] = json.dumps(spec, separators=(",", ":"))
    if grid:
        wanted["grid"] = json.dumps(grid, separators=(",", ":"))
    if name:
        wanted["name"] = name
    wanted |= {f"in_{role}": ref for role, ref in inputs.items() if ref}
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)


def cloned() -> RunView | None:
    """The run that the address asks to start from."""
    run_id = query_id("clone")
    return client().run(run_id) if run_id is not None else None


def as_yaml(spec: dict[str, Any], grid: dict[str, list[Any]]) -> str:
    """The draft for people: what differs from the defaults, and what a sweep varies."""
    if not spec and not grid:
        return "# all defaults\n"
    shown = {**spec, **({"sweep": grid} if grid else {})}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """(spec, grid) of the YAML view. Raises ValueError, naming the line."""
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{getattr(error, 'problem', None) or error}") from error
    if not isinstance(found, dict):
        raise ValueError("write fields with their values, such as epochs: 10")
    grid = found.pop("sweep", None) or {}
    if not isinstance(grid, dict) or not all(isinstance(values, list) for values in grid.values()):
        raise ValueError("sweep: write each field with a list of values, such as base_lr: [0.1, 0.01]")
    return found, grid


def _json(text: str | None, otherwise: Any) -> Any:
    """An address may have been cut or edited by hand: then what it would replace stands."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return otherwise
    return found if isinstance(found, dict) else otherwise
