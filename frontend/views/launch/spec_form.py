"""A form out of a spec's JSON schema: one widget a field, nested groups, unions, options that may be left out.

Nothing about any one stage stands here: names, defaults, limits and help come from the schema alone. What the API
finds wrong is shown below the field that it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.views.launch.spec_schema import (
    Schema,
    chosen,
    default_of,
    is_group,
    is_table,
    may_be_null,
    options,
    parsed,
    parsed_table,
    resolve,
    title,
    written,
    written_table,
)
from vise_client.schemas.launch import FieldProblem


@dataclass
class Places:
    """Where on the page a problem with a field is told."""

    by_path: dict[str, DeltaGenerator] = field(default_factory=dict)

    def reserve(self, path: str) -> None:
        """Keep a place below the widget that was drawn last."""
        self.by_path[path] = st.empty()

    def show(self, problems: Sequence[FieldProblem]) -> list[FieldProblem]:
        """Tell each problem below its field, or below the group around it; returns those that have no place.

        What is only still to be chosen is told without alarm: a form that nobody has touched has done nothing wrong.
        """
        told: dict[str, list[str]] = {}
        homeless = []
        for problem in problems:
            path = problem.field
            while path and path not in self.by_path:
                path = path.rpartition(".")[0]
            if path and problem.missing:
                self.by_path[path].caption("Needed to launch.")
            elif path:
                told.setdefault(path, []).append(problem.message)
            else:
                homeless.append(problem)
        for path, messages in told.items():
            self.by_path[path].error("  \n".join(messages), icon=":material/error:")
        return homeless

    def warn(self, warnings: Sequence[FieldProblem]) -> None:
        """Tell below each field what does not prevent the launch."""
        for warning in warnings:
            if warning.field in self.by_path:
                self.by_path[warning.field].warning(warning.message, icon=":material/warning:")


def spec_form(
    schema: Schema, values: dict[str, Any], key: str, places: Places, *, open_groups: Sequence[str] = ()
) -> dict[str, Any]:
    """Draw the form with these values; returns what it holds now. ``open_groups``: paths that start unfolded."""
    return _Form(schema, key, places, open_groups).group(schema, values, "spec")


@dataclass
class _Form:
    root: Schema
    key: str
    places: Places
    open_groups: Sequence[str]

    def group(self, schema: Schema, values: dict[str, Any], path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        fields = {name: resolve(raw, self.root) for name, raw in schema.get("properties", {}).items()}
        simple = [name for name, one in fields.items() if not is_group(one, self.root) and name != "kind"]
        columns = st.columns(2) if len(simple) > 1 else [st.container()]
        for position, name in enumerate(simple):
            with columns[position % len(columns)]:
                value = values.get(name, default_of(fields[name], self.root))
                result[name] = self.field(name, fields[name], value, f"{path}.{name}")
                self.places.reserve(f"{path}.{name}")
        for name, one in fields.items():
            if is_group(one, self.root):
                value = values.get(name, default_of(one, self.root))
                inner = f"{path}.{name}"
                opened = any(wanted == inner or wanted.startswith(f"{inner}.") for wanted in self.open_groups)
                with st.expander(title(name), expanded=opened):
                    result[name] = self.nested(name, one, value, inner)
                self.places.reserve(inner)
        if "kind" in fields:
            result["kind"] = fields["kind"].get("const")
        return {name: result[name] for name in fields}

    def nested(self, name: str, one: Schema, value: Any, path: str) -> Any:
        if may_be_null(one) and not st.checkbox(
            f"Use {title(name).lower()}", value=value is not None, key=f"{self.key}.{path}.on"
        ):
            return None
        found = options(one, self.root)
        group = chosen(one, self.root, value)
        if len(found) > 1:
            kinds = [option["properties"]["kind"]["const"] for option in found]
            now = group["properties"]["kind"]["const"]
            kind = st.selectbox(
                f"Kind of {title(name).lower()}", kinds, index=kinds.index(now), key=f"{self.key}.{path}.kind"
            )
            if kind != now:
                value = None
            group = found[kinds.index(kind)]
        about = group.get("description") or one.get("description")
        if about:
            st.caption(about)
        kind_key = group.get("properties", {}).get("kind", {}).get("const", "")
        inner = _Form(self.root, f"{self.key}.{kind_key}", self.places, self.open_groups)
        return inner.group(group, value or {}, path)

    def field(self, name: str, one: Schema, value: Any, path: str) -> Any:
        label, help_text, key = title(name), one.get("description"), f"{self.key}.{path}"
        inner = options(one, self.root)[0]
        if "const" in one:
            return one["const"]
        if "enum" in inner:
            choices = [*([None] if may_be_null(one) else []), *inner["enum"]]
            index = choices.index(value) if value in choices else 0
            return st.selectbox(
                label,
                choices,
                index=index,
                key=key,
                help=help_text,
                format_func=lambda choice: "none" if choice is None else str(choice),
            )
        if inner.get("type") == "boolean" and not may_be_null(one):
            return st.checkbox(label, bool(value), key=key, help=help_text)
        if inner.get("type") == "array":
            return self.array(label, inner, value, key, help_text)
        if is_table(inner):
            shown = written_table(value)
            help_text = help_text or "Entries as name: value, with commas between them."
            return parsed_table(st.text_input(label, shown, key=key, help=help_text, live=True))
        # Numbers as text: number inputs round 0.00025 to 0.00, and refuse without a word.
        text = st.text_input(
            label,
            written(value),
            key=key,
            help=help_text,
            live=True,
            placeholder="none" if may_be_null(one) else None,
        )
        if may_be_null(one) and not text.strip():
            return None
        return parsed(text) if inner.get("type") in ("integer", "number", "boolean") else text

    def array(self, label: str, inner: Schema, value: Any, key: str, help_text: str | None) -> Any:
        items = resolve(inner.get("items", {}), self.root)
        if "enum" in items:
            return st.multiselect(label, items["enum"], default=list(value or []), key=key, help=help_text)
        shown = ", ".join(written(v) for v in value or [])
        text = st.text_input(
            label, shown, key=key, help=help_text or "Values with commas between them.", live=True
        )
        return [parsed(part) for part in text.split(",") if part.strip()]
