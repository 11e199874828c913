"""The fields that a sweep varies, and their values."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.views.launch.draft import Draft, Grid
from frontend.views.launch.spec_form import ProblemPlaces
from frontend.views.launch.spec_schema import Schema, parsed, scalar_paths, written


def sweep_form(schema: Schema, draft: Draft, values: dict[str, Any], key: str, places: ProblemPlaces) -> Grid:
    """Draw the form of a sweep and return its grid."""
    st.caption("Select fields and enter their values. One run is started for every combination.")
    paths = list(scalar_paths(schema, schema, values))
    initial = [path for path in draft.grid if path in paths]
    grid: Grid = {}
    for path in st.multiselect("Fields to vary", paths, default=initial, key=f"{key}.vary"):
        text = st.text_input(
            path,
            ", ".join(written(value) for value in draft.grid.get(path, [])),
            key=f"{key}.vary.{path}",
            placeholder="values, separated by commas",
            live=True,
        )
        grid[path] = [parsed(part) for part in text.split(",") if part.strip()]
        places.reserve(f"grid.{path}")
    places.reserve("grid")
    return grid
