"""The spec of a run: what differs from a preset, the whole spec, the inputs and the provenance."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from frontend.components.run_rows import run_link
from frontend.components.table import show_rows
from frontend.formatting import plain, size, value_text
from frontend.views.run.datasets import data_set_link
from vise_client.schemas.runs import RunView
from vise_core.specs.paths import difference
from vise_core.specs.stages import STAGES


def run_spec(run: RunView) -> None:
    """Draw how a run's spec differs from its preset, the whole spec, its inputs and its provenance."""
    known = run.stage in STAGES
    if known:
        _difference(run.stage or "", run.spec)
    with st.expander("Full spec as YAML", expanded=not known):
        st.code(yaml.safe_dump(run.spec, sort_keys=False, allow_unicode=True), language="yaml")
    if run.inputs:
        st.header("Inputs", anchor=False)
        _inputs(run)
    if run.result and run.result.get("provenance"):
        st.header("Provenance", anchor=False)
        _provenance(run.result["provenance"])


def _difference(stage: str, spec: dict[str, Any]) -> None:
    """The fields that differ from a preset."""
    presets = STAGES[stage].preset_specs()
    nearest = STAGES[stage].nearest_preset(spec)
    base = st.selectbox(
        "Compare with",
        list(presets),
        index=list(presets).index(nearest),
        key="against",
        bind="query-params",
        help="At first, the preset with the fewest differences.",
    )
    base = base or nearest
    changes = difference(presets[base], spec)
    if not changes:
        st.markdown(f":material/check: Equal to the preset **{base}**.")
        return
    rows = [{"field": c.path, base: value_text(c.base), "this run": value_text(c.value)} for c in changes]
    show_rows(rows, hide_index=True)


def _inputs(run: RunView) -> None:
    for role, ref in run.inputs.items():
        if ref.run:
            label = f"**{plain(role)}**: {plain(ref.artifact or '')} of the run …{str(ref.run)[-4:]}"
            run_link(ref.run, label, icon=":material/input:")
        elif role in run.datasets:
            data_set_link(run.datasets[role], f"**{plain(role)}**: {plain(run.datasets[role].label)}")
        elif ref.dataset:
            st.markdown(f":material/database: **{plain(role)}**: data set …{str(ref.dataset)[-4:]}")
        else:
            st.markdown(f":material/upload_file: **{plain(role)}**: an upload")


def _provenance(provenance: dict[str, Any]) -> None:
    rows = {
        "started": provenance["started_at"],
        "wall time": f"{provenance['wall_seconds']:,.1f} s",
        "peak memory": size(provenance["peak_memory_bytes"]),
        "device": provenance["device"],
        "commit": provenance["git_commit"] or "not from a checkout",
        "seed": provenance["seed"],
        **{f"{name} version": version for name, version in provenance["packages"].items()},
        **{f"SHA-256 of {role}": digest for role, digest in provenance["inputs"].items()},
    }
    table = [{"property": name, "value": str(value)} for name, value in rows.items()]
    show_rows(table, hide_index=True)
