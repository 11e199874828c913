"""The YAML view of a draft, which the form follows and the other way round."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from frontend.formatting import plain
from frontend.views.launch.draft import Grid, Spec, reset_form
from vise_client.schemas.launch import StageView

ERROR = "launch.yaml-error"
LONGEST = 500_000
"""Characters of a YAML text, which takes seconds to read."""


class _Loader(yaml.SafeLoader):
    """Reads no aliases: of a value that names another one twice, again and again, a line makes billions."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "write the value again instead of an alias", mark)
        return super().compose_node(parent, index)


def yaml_editor(stage: StageView, spec: Spec, grid: Grid) -> None:
    """Draw a text area with the spec and the sweep."""
    st.caption(
        "The fields that differ from the defaults. Changes here are applied to the form. "
        f"Run a file with `vise run {stage.name} --spec FILE`."
    )
    text = to_yaml(spec, grid)
    key, written = f"launch.yaml.{stage.name}", f"launch.yaml.{stage.name}.written"
    if st.session_state.get(written) != text or key not in st.session_state:
        # The form has changed the spec. Otherwise, a text with an error is kept.
        st.session_state[key] = st.session_state[written] = text
        st.session_state.pop(ERROR, None)

    def apply() -> None:
        try:
            reset_form(stage, *from_yaml(st.session_state[key]))
            st.session_state.pop(ERROR, None)
        except ValueError as error:
            st.session_state[ERROR] = str(error)

    st.text_area("Spec as YAML", key=key, height=260, on_change=apply)
    if message := st.session_state.get(ERROR):
        st.error(f"The YAML was not applied to the form: {plain(message)}", icon=":material/error:")


def to_yaml(spec: Spec, grid: Grid) -> str:
    """Return YAML of the fields that differ from the defaults, and of the sweep."""
    if not spec and not grid:
        return "# all defaults\n"
    content = {**spec, **({"sweep": grid} if grid else {})}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> tuple[Spec, Grid]:
    """Return (spec, grid) of a YAML text.

    Raises ValueError, naming the line, if it is no YAML of fields and lists of values.
    """
    content = read_yaml(text) or {}
    if not isinstance(content, dict):
        raise ValueError("write fields with their values, such as epochs: 10")
    grid = content.pop("sweep", None) or {}
    if not isinstance(grid, dict) or not all(isinstance(values, list) for values in grid.values()):
        raise ValueError("sweep: write each field with a list of values, such as base_lr: [0.1, 0.01]")
    return content, grid


def read_yaml(text: str) -> Any:
    """Return the values of a YAML text that a user has written. Raises ValueError, naming the line, if there are none."""
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST:,} characters")
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(_in_words(error)) from error
    except RecursionError as error:
        raise ValueError("its values are nested too deep") from error


def _in_words(error: yaml.YAMLError) -> str:
    """Return place and problem of a YAML error: ``line 2, column 1: expected ',' or ']'``."""
    mark: Any = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or error}"
