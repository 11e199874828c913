"""What a run was told to do: its difference from a preset, the whole spec, its inputs, and its provenance."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from frontend.formatting import plain, value_text
from frontend.views.run.datasets import data_link
from vise_client.schemas.runs import RunView
from vise_core.specs.paths import difference
from vise_core.specs.stages import STAGES


def run_spec(run: RunView) -> None:
    if run.stage in STAGES:
        _difference(run.stage or "", run.spec)
    with st.expander("The whole spec, as YAML", expanded=run.stage not in STAGES):
        st.code(yaml.safe_dump(run.spec, sort_keys=False, allow_unicode=True), language="yaml")
    if run.inputs:
        st.header("Inputs", anchor=False)
    for role, ref in run.inputs.items():
        if ref.run:
            label = f"**{role}**: {ref.artifact} of the run …{str(ref.run)[-4:]}"
            st.page_link(
                "views/run/page.py", label=label, icon=":material/input:", query_params={"run": str(ref.run)}
            )
        elif role in run.datasets:
            data_link(run.datasets[role], f"**{role}**: {plain(run.datasets[role].label)}")
        elif ref.dataset:
            st.markdown(f":material/database: **{role}**: data set …{str(ref.dataset)[-4:]}")
        else:
            st.markdown(f":material/upload_file: **{role}**: an upload")
    if run.result and run.result.get("provenance"):
        st.header("Provenance", anchor=False)
        _provenance(run.result["provenance"])


def _difference(stage: str, spec: dict[str, Any]) -> None:
    specs = STAGES[stage].preset_specs()
    nearest = STAGES[stage].nearest_preset(spec)
    base = (
        st.selectbox(
            "Compare with",
            list(specs),
            index=list(specs).index(nearest),
            key="against",
            bind="query-params",
            help="Without a choice, the preset that this run has the fewest differences from.",
        )
        or nearest
    )
    changed = difference(specs[base], spec)
    if not changed:
        st.markdown(f":material/check: Not one field differs from **{base}**.")
        return
    st.dataframe(
        [{"field": c.path, base: value_text(c.base), "this run": value_text(c.value)} for c in changed],
        hide_index=True,
    )


def _provenance(told: dict[str, Any]) -> None:
    rows = {
        "started": told["started_at"],
        "wall time": f"{told['wall_seconds']:,.1f} s",
        "peak memory": f"{told['peak_memory_bytes'] / 2**30:.2f} GiB",
        "device": told["device"],
        "commit": told["git_commit"] or "not from a checkout",
        "seed": told["seed"],
        **{f"{name} version": version for name, version in told["packages"].items()},
        **{f"SHA-256 of {role}": digest for role, digest in told["inputs"].items()},
    }
    st.dataframe(
        [{"what": name, "value": str(value)} for name, value in rows.items()],
        hide_index=True,
    )
